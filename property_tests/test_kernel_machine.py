"""The kernel keeps all its promises, whatever is done to it."""

from hypothesis import settings

from property_tests.machines import KernelMachine

KernelMachine.TestCase.settings = settings(stateful_step_count=40)
TestKernel = KernelMachine.TestCase
