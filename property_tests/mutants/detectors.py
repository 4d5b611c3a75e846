"""Parts of the suite that are asked in turn whether a kernel has a bug."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from fairq.testing import check_scenario
from property_tests import test_admission as admission
from property_tests import test_audit as audit
from property_tests import test_corners as corners
from property_tests import test_determinism as determinism
from property_tests import test_fairness as fairness
from property_tests import test_illegal_calls as illegal
from property_tests import test_inside as inside
from property_tests import test_model_of_kernel as model
from property_tests import test_progress as progress
from property_tests import test_schedule_independence as alone
from property_tests.machines.machine import KernelMachine
from property_tests.record import RECORD
from property_tests.test_batch import BatchMachine
from property_tests.test_heap import HeapMachine

SCENARIOS: Final = sorted((Path(__file__).parents[2] / "tests/scenarios").glob("*.txt"))
Asked = Callable[[settings], None]


@attrs.frozen
class Detector:
    """Part of the suite; raises when it finds something wrong."""

    name: str
    ask: Asked


def effort(examples: int) -> settings:
    """The same examples each time, and no time spent on making them smaller."""
    return settings(
        max_examples=examples,
        phases=[Phase.explicit, Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
        stateful_step_count=40,
    )


def machine(cls: type[RuleBasedStateMachine]) -> Asked:
    return lambda how: run_state_machine_as_test(cls, settings=how)


def tests(*those: Any) -> Asked:  # noqa: ANN401  # what @given returns has no type of its own
    """Properties, with the strategies they have in their files."""

    def ask(how: settings) -> None:
        for test in those:
            handle = test.hypothesis
            how(given(**handle._given_kwargs)(handle.inner_test))()

    return ask


def examples(*those: Any) -> Asked:  # noqa: ANN401  # as above
    """The programs that are written down beside properties; nothing is generated."""
    written = [test for test in those if hasattr(test, "hypothesis_explicit_examples")]
    ask = tests(*written)
    return lambda how: ask(settings(how, phases=[Phase.explicit]))


def transcripts(_: settings) -> None:
    """The transcripts print what they say."""
    for path in SCENARIOS:
        check_scenario(path)


CORNERS: Final = (
    corners.test_whoever_is_passed_is_passed_within_the_slack,
    corners.test_who_comes_during_a_step_is_lifted_if_its_queue_was_emptied_by_it,
    corners.test_members_that_grow_at_once_share_what_there_is,
    corners.test_what_is_refunded_puts_its_tenant_where_it_belongs,
    corners.test_a_pool_that_is_full_is_never_overdrawn,
)
REFUSALS: Final = (
    illegal.test_a_wrong_answer_changes_nothing,
    illegal.test_a_queue_takes_as_many_as_it_may_and_says_what_it_holds,
    illegal.test_a_request_is_refused_exactly_when_it_can_never_fit,
)
DETERMINISM: Final = (
    determinism.test_after_a_failure_the_next_plan_is_the_same_but_for_its_id,
    determinism.test_the_same_calls_give_the_same_plans_events_and_snapshots,
    determinism.test_names_of_tenants_carry_no_meaning,
    determinism.test_a_refused_request_changes_nothing,
    determinism.test_failed_steps_leave_no_trace,
)
PROGRESS: Final = (
    progress.test_only_tenants_within_the_slack_of_the_smallest_counter_are_admitted,
    progress.test_first_come_is_first_served,
    progress.test_a_member_is_done_when_the_prompts_before_it_and_its_own_work_are,
    progress.test_preemptions_are_bounded_by_the_tokens_delivered,
)
ADMISSION: Final = (
    admission.test_reserve_never_promises_more_than_there_is,
    admission.test_the_books_of_the_forecast_are_a_recount,
    admission.test_who_enters_has_a_block_for_what_it_produces_first,
    admission.test_a_preemption_makes_the_rule_more_careful,
)
INSIDE: Final = (
    inside.test_whoever_is_admitted_is_whom_order_patience_and_width_say,
    inside.test_nobody_is_committed_to_more_than_the_cap_or_one_request,
)
MODEL: Final = (
    model.test_the_kernel_does_what_its_model_does,
    model.test_it_does_so_when_blocks_run_out,
)

# What has been found before comes first, for it is cheap; then the model, which finds
# most of the rest. Transcripts are cheap too, and last: they say that something is
# different, not what is wrong.
DETECTORS: Final[tuple[Detector, ...]] = (
    Detector("corners found before", examples(*CORNERS)),
    Detector("reference model", tests(*MODEL)),
    Detector("inside the gate", tests(*INSIDE)),
    Detector("heap", machine(HeapMachine)),
    Detector("audit", tests(audit.test_damage_is_noticed)),
    Detector("illegal calls", tests(*REFUSALS)),
    Detector("calendar", machine(BatchMachine)),
    Detector("corners", tests(*CORNERS)),
    Detector("state machine", machine(KernelMachine)),
    Detector("determinism", tests(*DETERMINISM)),
    Detector("progress", tests(*PROGRESS)),
    Detector("fairness", tests(fairness.test_no_gap_exceeds_the_stated_bound)),
    Detector("admission", tests(*ADMISSION)),
    Detector("alone", tests(alone.test_a_request_gets_what_it_would_get_alone)),
    Detector("transcripts", transcripts),
)


def finder(
    rounds: Iterable[int], detectors: Iterable[Detector] = DETECTORS
) -> str | None:
    """The name of the first detector that finds something; None when nobody does."""
    for examples_each in rounds:
        for detector in detectors:
            try:
                with RECORD.silent():
                    detector.ask(effort(examples_each))
            except (Exception, pytest.fail.Exception):  # noqa: BLE001  # any is a find
                return detector.name
    return None
