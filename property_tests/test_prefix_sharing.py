"""Whoever shares blocks reads what it would have computed, whatever happened before.

A backend is driven that knows of each position which text it is the KV of. After every
call the kernel checks itself, every block is in one place, and the accounts agree.
"""

from hypothesis import event, given

from property_tests.prefixes.driver import Driver
from property_tests.prefixes.programs import (
    Program,
    Setting,
    programs,
    settings_of_kernels,
)


@given(setting=settings_of_kernels, program=programs)
def test_shared_blocks_hold_what_they_are_shared_for(
    setting: Setting, program: Program
) -> None:
    driver = Driver(setting).play(program).finish()

    event("hits" if driver.hits else "no hits")
    event("shares" if driver.shares else "no shares")
    event("preempts" if driver.preempted else "preempts nobody")
