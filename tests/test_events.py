import attrs
import pytest

from fairq import Events, Finished, FinishReason, RequestId, Share
from fairq.events import NO_EVENTS

A, B = RequestId(0), RequestId(1)


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
        Events(shares=(Share(A, B, 3),)),
    ],
    ids=["tokens", "finished", "preempted", "shares"],
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


def test_a_share_says_who_takes_over_how_much_from_whom() -> None:
    share = Share(A, B, 3)
    assert (A, B, 3) == (share.payer, share.member, share.tokens)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        share.tokens = 4  # type: ignore[misc]  # that it is refused is the test


def test_nobody_shares_by_default() -> None:
    assert Events().shares == ()
