"""Calls that are wrong are errors, and change nothing."""

from collections.abc import Callable

import attrs
import pytest

from fairq import (
    Kernel,
    RequestId,
    RequestRejected,
    StepId,
    StepPlan,
    StepResult,
    UsageError,
)
from fairq.testing._witness import sampled
from tests.kernel.driving import Loop, busy, capacity, request

NOBODY = RequestId(999)
Call = Callable[[Kernel, StepPlan], object]


def answer(plan: StepPlan, **changes: object) -> StepResult:
    good = StepResult(plan.step_id, dict.fromkeys(sampled(plan), 7))
    return attrs.evolve(good, **changes)  # type: ignore[arg-type]  # wrong types are the test


def with_token(plan: StepPlan, token: object) -> StepResult:
    return answer(plan, tokens={**answer(plan).tokens, RequestId(0): token})


def without(plan: StepPlan, request_id: int) -> StepResult:
    tokens = dict(answer(plan).tokens)
    del tokens[RequestId(request_id)]
    return answer(plan, tokens=tokens)


def with_extra(plan: StepPlan, request_id: int) -> StepResult:
    return answer(plan, tokens={**answer(plan).tokens, RequestId(request_id): 7})


BAD: dict[str, Call] = {
    "submit no request": lambda k, _: k.submit("text"),  # type: ignore[arg-type]  # wrong types are the test
    "submit a float time": lambda k, _: k.submit(request(), 1.5),  # type: ignore[arg-type]  # as above
    "submit a bool time": lambda k, _: k.submit(request(), True),  # noqa: FBT003  # as above
    "submit a long prompt": lambda k, _: k.submit(request(length=10_000)),
    "submit a long output": lambda k, _: k.submit(request(max_tokens=10_000)),
    "submit a wrong prompt": lambda k, _: k.submit(request(length=0)),
    "submit a wrong limit": lambda k, _: k.submit(request(max_tokens=0)),
    "plan at a float time": lambda k, _: k.plan(0.5),  # type: ignore[arg-type]  # as above
    "plan at a time in words": lambda k, _: k.plan("now"),  # type: ignore[arg-type]  # as above
    "commit no result": lambda k, _: k.commit({}),  # type: ignore[arg-type]  # as above
    "commit an older step": lambda k, p: k.commit(answer(p, step_id=StepId(0))),
    "commit a later step": lambda k, p: k.commit(answer(p, step_id=StepId(99))),
    "commit a step None": lambda k, p: k.commit(answer(p, step_id=None)),
    "commit a list": lambda k, p: k.commit(answer(p, tokens=[7, 7])),
    "commit nothing": lambda k, p: k.commit(answer(p, tokens={})),
    "commit one too few": lambda k, p: k.commit(without(p, 0)),
    "commit one too many": lambda k, p: k.commit(with_extra(p, 999)),
    "commit for who waits": lambda k, p: k.commit(with_extra(p, 4)),
    "commit for who prefills": lambda k, p: k.commit(with_extra(p, 2)),
    "commit a negative token": lambda k, p: k.commit(with_token(p, -1)),
    "commit a large token": lambda k, p: k.commit(with_token(p, 2**31)),
    "commit a float token": lambda k, p: k.commit(with_token(p, 1.5)),
    "commit no token": lambda k, p: k.commit(with_token(p, None)),
    "commit several tokens": lambda k, p: k.commit(with_token(p, (1, 2))),
    "stop a stranger": lambda k, p: k.commit(answer(p, stopped=(NOBODY,))),
    "stop who waits": lambda k, p: k.commit(answer(p, stopped=(RequestId(4),))),
    "stop with no tuple": lambda k, p: k.commit(answer(p, stopped=5)),
    "stop no id": lambda k, p: k.commit(answer(p, stopped=([],))),
    "cancel no id": lambda k, _: k.cancel([1]),  # type: ignore[arg-type]  # as above
    "fail an older step": lambda k, _: k.fail(StepId(0)),
    "fail a later step": lambda k, _: k.fail(StepId(99)),
    "fail a step None": lambda k, _: k.fail(None),  # type: ignore[arg-type]  # as above
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_an_error_and_changes_nothing(name: str) -> None:
    loop = busy()
    plan = loop.plan()
    before = loop.kernel.snapshot()
    with pytest.raises((UsageError, RequestRejected)):
        BAD[name](loop.kernel, plan)
    assert before == loop.kernel.snapshot()
    loop.kernel.check()
    loop.answer(plan)  # and the plan can still be answered
    loop.run()


def test_a_token_for_a_finished_request_is_an_error_and_changes_nothing() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=1)
    loop.submit(max_tokens=5)
    loop.step()
    plan = loop.plan()
    before = loop.kernel.snapshot()
    with pytest.raises(UsageError, match="unexpected 0"):
        loop.kernel.commit(with_extra(plan, 0))
    assert before == loop.kernel.snapshot()


SECOND_ANSWERS: dict[str, Call] = {
    "commit": lambda k, p: k.commit(StepResult(p.step_id, {})),
    "fail": lambda k, p: k.fail(p.step_id),
}


@pytest.mark.parametrize("name", SECOND_ANSWERS)
def test_a_plan_is_answered_once(name: str) -> None:
    loop = busy()
    plan = loop.plan()
    loop.answer(plan)
    before = loop.kernel.snapshot()
    with pytest.raises(UsageError, match="no plan is outstanding"):
        SECOND_ANSWERS[name](loop.kernel, plan)
    assert before == loop.kernel.snapshot()
