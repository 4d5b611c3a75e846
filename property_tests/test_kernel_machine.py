"""The kernel keeps all its promises, whatever is done to it."""

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from property_tests.machines.machine import CrowdedMachine, KernelMachine, TinyMachine


def programs(divisor: int) -> settings:
    """Programs of 40 moves; as many as the profile says, by the divisor."""
    examples = max(10, settings().max_examples // divisor)
    return settings(max_examples=examples, stateful_step_count=40)


KernelMachine.TestCase.settings = programs(2)
CrowdedMachine.TestCase.settings = programs(2)
TinyMachine.TestCase.settings = programs(4)
TestKernel = KernelMachine.TestCase
TestCrowdedKernel = CrowdedMachine.TestCase
TestTinyKernel = TinyMachine.TestCase

# --- its own power ------------------------------------------------------------------

SITUATIONS = (
    "a prompt in chunks",
    "a whole result of last tokens",
    "all ended by length",
    "came while a plan was outstanding",
    "cancelled while its plan was outstanding",
    "forgiven",
    "given up",
    "passed within the slack",
    "preempted",
    "preempted by a step that failed",
    "refused for good",
    "refused for now",
    "resumed after its first tokens",
    "several grow at once",
    "several stops at once",
    "the clock went back",
)
"""What the machines must bring about, or their silence says nothing."""


class Kernel(KernelMachine):
    """With counts of its own."""

    counts: ClassVar[Counter[str]] = Counter()


class Crowded(CrowdedMachine):
    """Adds to the same counts."""

    counts = Kernel.counts


class Tiny(TinyMachine):
    """Adds to the same counts."""

    counts = Kernel.counts


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    """The situations of a fixed run, smaller than that of the profile ``dev``."""
    Kernel.counts.clear()
    fixed = settings(
        max_examples=20, stateful_step_count=40, derandomize=True, database=None
    )
    for machine in (Kernel, Crowded, Tiny):
        run_state_machine_as_test(machine, settings=fixed)
    return Kernel.counts


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_machines_reach_what_they_are_to_test(
    counts: Counter[str], situation: str
) -> None:
    assert counts[situation] > 0


def test_every_situation_that_is_noted_is_asked_for(counts: Counter[str]) -> None:
    assert sorted(SITUATIONS) == sorted(counts)
