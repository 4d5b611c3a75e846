"""Every planted bug in prefix sharing is found by the property that it breaks."""

from collections.abc import Callable

import pytest
from hypothesis import settings

from property_tests import test_prefix_charges as charges
from property_tests import test_prefix_constructed as runs
from property_tests import test_prefix_groups as groups
from property_tests import test_prefix_sharing as sharing
from property_tests.effort import profile
from property_tests.mutants import detectors
from property_tests.mutants.detectors import Detector, effort, finder
from property_tests.mutants.patch import Mutant
from property_tests.mutants.prefixes import PREFIXES
from property_tests.prefixes.tables_machine import TablesMachine
from property_tests.record import RECORD


def instances(*those: Callable[[], None]) -> Callable[[settings], None]:
    """Tests of runs that somebody constructed; nothing is generated."""

    def ask(_: settings) -> None:
        for test in those:
            test()

    return ask


DETECTORS = (
    Detector(
        "constructed",
        instances(
            groups.test_a_leader_whose_steps_fail_is_waited_for_as_long_as_is_said,
            groups.test_those_who_were_held_back_enter_together_and_share_the_run,
            charges.test_nobody_gets_back_what_it_did_not_spend,
            charges.test_what_somebody_finds_at_a_price_is_part_of_what_it_is_committed_to,
            charges.test_a_part_that_somebody_takes_over_is_part_of_what_it_is_committed_to,
            charges.test_a_leader_that_is_paid_back_late_falls_behind_by_the_stated_term,
            runs.test_a_second_turn_finds_the_first_with_its_answer,
            runs.test_a_leader_that_waits_again_is_not_in_the_run_that_it_computed,
            runs.test_a_prefix_that_is_cut_while_it_is_computed_is_not_ready_for_that,
            runs.test_what_is_split_once_is_not_split_again_for_who_enters_later,
            runs.test_adapters_do_not_share,
            runs.test_what_tenants_share_is_not_what_their_names_are,
            runs.test_who_was_preempted_goes_on_from_what_is_still_there,
        ),
    ),
    Detector("tree", detectors.machine(TablesMachine)),
    Detector(
        "sharing",
        detectors.tests(sharing.test_shared_blocks_hold_what_they_are_shared_for),
    ),
    Detector(
        "charges",
        detectors.tests(
            charges.test_the_gap_stays_in_its_bound_when_charges_are_split,
            charges.test_what_is_found_is_charged_once_at_its_own_price,
        ),
    ),
    Detector(
        "groups",
        detectors.tests(groups.test_who_is_left_behind_waits_for_a_prefix_and_finds_it),
    ),
)
ROUNDS = {"dev": (10, 50, 200), "ci": (10, 50, 200), "deep": (10, 100, 1_000)}


def name(each: Mutant | Detector) -> str:
    return each.name


@pytest.mark.parametrize("mutant", PREFIXES, ids=name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with mutant.planted():
        found = finder(ROUNDS[profile()], DETECTORS)
    RECORD.mutants[mutant.name] = found

    assert found is not None, mutant.breaks


@pytest.mark.parametrize("detector", DETECTORS, ids=name)
def test_a_kernel_without_a_bug_is_not_accused(detector: Detector) -> None:
    detector.ask(effort(ROUNDS[profile()][0]))
