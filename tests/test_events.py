import attrs
import pytest

from fairq import Events, Finished, FinishReason, RequestId
from fairq.events import NO_EVENTS

A = RequestId(0)


def test_no_events_are_false() -> None:
    assert not NO_EVENTS
    assert not Events()
    assert Events() == NO_EVENTS


@pytest.mark.parametrize(
    "events",
    [
        Events(tokens={A: 1}),
        Events(finished=(Finished(A, FinishReason.STOP, 1),)),
        Events(preempted=(A,)),
    ],
    ids=["tokens", "finished", "preempted"],
)
def test_whatever_happened_makes_events_true(events: Events) -> None:
    assert events


def test_the_default_tokens_cannot_be_filled_by_accident() -> None:
    with pytest.raises(TypeError):
        Events().tokens[A] = 1  # type: ignore[index]  # that it is refused is the test


def test_events_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Events().preempted = (A,)  # type: ignore[misc]  # that it is refused is the test


def test_there_are_four_ways_to_end() -> None:
    reasons = {reason.value for reason in FinishReason}
    assert {"length", "stop", "cancelled", "failed"} == reasons
