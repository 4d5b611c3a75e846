"""Replays: a journal is made again, and where that differs from the run it is said."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from fairq import Events, Idle, RequestId, StepId, StepPlan, TokenIds
from fairq.testing import Journal, Noted, ReplayDiverged, record, replay
from tests.testing.recording import busy


def test_a_replay_ends_where_the_run_did() -> None:
    kernel = busy()
    again = replay(kernel.journal)
    assert kernel.snapshot() == again.snapshot()


def test_a_replay_can_go_on_from_where_another_ended() -> None:
    journal = busy().journal
    half = len(journal.calls) // 2
    first = attrs.evolve(journal, calls=journal.calls[:half])
    rest = attrs.evolve(journal, calls=journal.calls[half:])
    kernel = replay(first)
    assert kernel is replay(rest, kernel)
    assert replay(journal).snapshot() == kernel.snapshot()


def test_a_replay_that_begins_in_the_middle_diverges() -> None:
    journal = busy().journal
    rest = attrs.evolve(journal, calls=journal.calls[1:])
    with pytest.raises(ReplayDiverged):
        replay(rest)


def tampered(index: int, outcome: Any) -> Journal:  # noqa: ANN401  # any outcome
    journal = busy().journal
    notes = list(journal.calls)
    notes[index] = attrs.evolve(notes[index], outcome=outcome)
    return attrs.evolve(journal, calls=tuple(notes))


def test_a_divergence_names_the_call_what_was_expected_and_what_came() -> None:
    journal = tampered(0, RequestId(3))
    with pytest.raises(ReplayDiverged) as caught:
        replay(journal)
    assert str(caught.value) == (
        "Call 0, 'submit tenant=a prompt=3 max_tokens=2', had another outcome.\n"
        "expected: request 3\n"
        "     got: request 0"
    )
    error = caught.value
    assert (0, journal.calls[0], RequestId(0)) == (
        error.index,
        error.noted,
        error.actual,
    )
    assert isinstance(error, AssertionError)


def plan_noted() -> StepPlan:
    plan = busy().journal.calls[1].outcome
    assert isinstance(plan, StepPlan)
    return plan


def test_what_a_transcript_leaves_out_is_compared_and_shown_too() -> None:
    plan = plan_noted()
    enter = (attrs.evolve(plan.enter[0], tokens=TokenIds([1, 2, 4])),)
    with pytest.raises(ReplayDiverged) as caught:
        replay(tampered(1, attrs.evolve(plan, enter=enter)))
    assert 1 == caught.value.index
    assert "TokenIds([1, 2, 4])" in str(caught.value)
    assert "TokenIds([1, 2, 3])" in str(caught.value)


OTHER: dict[int, Callable[[Any], object]] = {
    0: lambda _: RequestId(1),
    1: lambda plan: attrs.evolve(plan, step_id=StepId(1)),
    2: lambda _: Idle.NO_WORK,
    3: lambda error: attrs.evolve(error, message="Something else."),
    4: lambda error: attrs.evolve(error, retryable=True),
    5: lambda _: Events(preempted=(RequestId(0),)),
    7: lambda _: Events(),
    8: lambda plan: attrs.evolve(plan, leave=(RequestId(1),)),
    9: lambda events: attrs.evolve(events, tokens={RequestId(0): 6}),
}


@pytest.mark.parametrize("index", OTHER)
def test_another_outcome_of_any_kind_is_found(index: int) -> None:
    outcome = busy().journal.calls[index].outcome
    with pytest.raises(ReplayDiverged) as caught:
        replay(tampered(index, OTHER[index](outcome)))
    assert index == caught.value.index


def two_decode() -> Journal:
    return record("kernel\nsubmit count=2\nstep\nstep\n")


def test_the_slots_and_the_order_of_decodes_are_compared() -> None:
    journal = two_decode()
    *notes, planned_last, committed = journal.calls
    plan = planned_last.outcome
    assert isinstance(plan, StepPlan)
    one, two = plan.decodes
    slots = {one: plan.decodes.slot(one), two: plan.decodes.slot(two)}
    for other in (
        {one: slots[two], two: slots[one]},
        {two: slots[two], one: slots[one]},
    ):
        changed = attrs.evolve(plan, decodes=type(plan.decodes)(other))
        bad = (*notes, attrs.evolve(planned_last, outcome=changed), committed)
        with pytest.raises(ReplayDiverged):
            replay(attrs.evolve(journal, calls=bad))


def test_the_order_of_tokens_is_compared() -> None:
    journal = two_decode()
    *notes, last = journal.calls
    events = last.outcome
    assert isinstance(events, Events)
    turned = dict(reversed(list(events.tokens.items())))
    assert turned == events.tokens
    bad = Noted(last.call, attrs.evolve(events, tokens=turned))
    with pytest.raises(ReplayDiverged):
        replay(attrs.evolve(journal, calls=(*notes, bad)))
