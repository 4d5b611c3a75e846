"""A backend fails at any step, in any way; each step is tried."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import BackendError, EngineClosed
from property_tests.engine.scenes import EVERYBODY_READS, READING, SOMEBODY_LEAVES
from property_tests.engine.scripts import Exit
from property_tests.engine.stage import (
    Case,
    Kind,
    Stage,
    backends,
    check_closed,
    check_whole,
    loops,
    play,
    play_every_cut,
)
from property_tests.engine.suspensions import HOLDER, How

PATIENT = 100
"""Failed steps in a row that no case has."""
LEAST_STEPS = 4
"""As many as the longest output of a case."""
fault_names = st.sampled_from(["raises", "answers another step", "a token too many"])


def play_every_crash(
    case: Case, kind: Kind, loop: str, fault: str, max_failures: int
) -> list[Stage]:
    """A case again and again, one of its steps failing: the first, the second..."""
    stages: list[Stage] = []
    while True:
        faults = [*[None] * len(stages), fault]
        failing = attrs.evolve(case, faults=faults, max_failures=max_failures)
        stage = play(failing, kind, loop)
        if not stage.backend.hit:
            # It was over before.
            assert len(stages) >= LEAST_STEPS
            return stages
        stages.append(stage)


@loops
@backends
@given(fault=fault_names)
def test_a_step_that_fails_costs_nobody_a_token(
    loop: str, kind: Kind, fault: str
) -> None:
    for stage in play_every_crash(EVERYBODY_READS, kind, loop, fault, PATIENT):
        assert stage.statistics is not None
        assert 1 == stage.statistics.failed_steps
        check_whole(stage, READING)
        assert stage.unread == 0


@loops
@backends
@given(fault=fault_names)
def test_without_patience_exactly_those_in_the_step_are_given_up(
    loop: str, kind: Kind, fault: str
) -> None:
    for stage in play_every_crash(EVERYBODY_READS, kind, loop, fault, 0):
        hit = stage.backend.hit
        given_up = [isinstance(s.error, BackendError) for s in stage.hall.seen]
        assert sum(given_up) == len(hit) > 0
        for seen, gone in zip(stage.hall.seen, given_up, strict=True):
            # Who awaits ``complete`` does not know its id.
            if seen.request_id is not None:
                assert gone == (seen.request_id in hit)
            assert gone or seen.error is None
        assert stage.unread == 0


@loops
@backends
@given(case=st.sampled_from([EVERYBODY_READS, SOMEBODY_LEAVES]))
def test_a_step_that_calls_for_exit_ends_every_stream_and_is_raised(
    loop: str, kind: Kind, case: Case
) -> None:
    for stage in play_every_crash(case, kind, loop, "calls for exit", PATIENT):
        assert isinstance(stage.raised, Exit)
        check_closed(stage)
        for seen in stage.hall.seen:
            if isinstance(seen.error, EngineClosed):
                assert isinstance(seen.error.__cause__, Exit)
        if case is EVERYBODY_READS:
            # Those in the step, at least.
            assert any(isinstance(s.error, EngineClosed) for s in stage.hall.seen)


@loops
@backends
@pytest.mark.parametrize("fault", ["raises", "calls for exit"])
@given(step=st.sampled_from([0, 1, 3, 5]))
def test_a_failure_and_a_cancelled_engine_may_coincide_anywhere(
    loop: str, kind: Kind, fault: str, step: int
) -> None:
    case = attrs.evolve(EVERYBODY_READS, faults=[*[None] * step, fault])

    for stage in play_every_cut(case, kind, loop, HOLDER, How.BY_ANOTHER):
        for seen in stage.hall.seen:
            assert isinstance(seen.error, BackendError | EngineClosed | None)
