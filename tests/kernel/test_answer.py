import pytest

from fairq import RequestId, StepPlan, StepResult, UsageError
from fairq.kernel._answer import SHOWN, _some, check_answer
from fairq.kernel._draft import Draft
from tests.kernel.driving import Loop, capacity


def outstanding() -> tuple[Draft, StepPlan]:
    """Requests 0 and 1 decode, 2 samples."""
    loop = Loop(capacity())
    loop.submit_many(2, max_tokens=8)
    loop.step()
    loop.submit()
    plan = loop.plan()
    draft = loop.kernel._draft
    assert draft is not None
    return draft, plan


def check(tokens: dict[int, int], *stopped: int) -> None:
    draft, plan = outstanding()
    answer = {RequestId(id_): token for id_, token in tokens.items()}
    stops = tuple(RequestId(id_) for id_ in stopped)
    check_answer(draft, StepResult(plan.step_id, answer, stops))


def test_exactly_the_decodes_and_the_sampling_chunks_are_accepted() -> None:
    check({0: 1, 1: 2, 2: 3})


def test_the_order_of_the_tokens_does_not_matter() -> None:
    check({2: 3, 1: 2, 0: 1})


def test_nor_does_it_when_nobody_samples() -> None:
    loop = Loop(capacity())
    loop.submit_many(2, max_tokens=8)
    loop.step()
    plan = loop.plan()
    assert len(plan.decodes) == 2

    tokens = dict.fromkeys([*plan.decodes][::-1], 7)
    events = loop.kernel.commit(StepResult(plan.step_id, tokens))

    assert tokens == events.tokens


def test_any_of_them_may_stop() -> None:
    check({0: 1, 1: 2, 2: 3}, 0, 2)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({}, "has 0 tokens, expected 3: missing 0, 1, 2, unexpected none"),
        ({0: 1, 1: 2}, "missing 2, unexpected none"),
        ({0: 1, 2: 3}, "missing 1, unexpected none"),
        ({0: 1, 1: 2, 2: 3, 9: 4}, "missing none, unexpected 9"),
        ({0: 1, 1: 2, 9: 4}, "has 3 tokens, expected 3: missing 2, unexpected 9"),
        ({0: 1, 2: 2, 9: 4}, "missing 1, unexpected 9"),
    ],
)
def test_a_mismatch_names_what_is_missing_and_what_is_too_much(
    tokens: dict[int, int], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        check(tokens)


@pytest.mark.parametrize("bad", [-1, 2**31, 0.5, None])
def test_an_impossible_token_is_refused(bad: int) -> None:
    with pytest.raises(UsageError, match="impossible token"):
        check({0: 1, 1: bad, 2: 3})


def test_only_a_sequence_with_a_token_can_stop() -> None:
    with pytest.raises(UsageError, match="stops 7, 8, which have no token"):
        check({0: 1, 1: 2, 2: 3}, 0, 7, 8)


def test_messages_stay_short_however_many_are_wrong() -> None:
    assert _some([]) == "none"
    many = [RequestId(number) for number in range(SHOWN + 5)]
    assert _some(many) == "0, 1, 2, 3, 4, 5, 6, 7 and 5 more"


def test_as_many_as_may_be_shown_are_all_that_is_shown() -> None:
    ids = [RequestId(id_) for id_ in range(SHOWN)]
    assert "more" not in _some(ids)
    assert _some([*ids, RequestId(99)]).endswith("and 1 more")
