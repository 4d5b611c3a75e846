"""A call that raises has changed nothing: not what is seen, and not what follows."""

from collections.abc import Callable

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from fairq import (
    Capacity,
    Kernel,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    StepId,
    StepPlan,
    StepResult,
    UsageError,
)
from property_tests.effort import part
from property_tests.programs import (
    Op,
    Player,
    Program,
    Setting,
    programs,
    settings_of_kernels,
    tokens_of,
)

# All of these are wrong on purpose, so their types are too.
Wrong = Callable[[Kernel, StepPlan], object]
"""A call that must raise UsageError while that plan is outstanding."""
STRANGER = RequestId(10**9)


def without_one(plan: StepPlan) -> dict[RequestId, int]:
    tokens = tokens_of(plan)
    assume(tokens)
    tokens.popitem()
    return tokens


def instead_of_one(plan: StepPlan) -> dict[RequestId, int]:
    return without_one(plan) | {STRANGER: 1}


def with_token(plan: StepPlan, token: object) -> dict[RequestId, int]:
    tokens: dict[RequestId, object] = dict(tokens_of(plan))
    assume(tokens)
    tokens[next(iter(tokens))] = token
    return tokens  # type: ignore[return-value]  # the token is none


def commit(plan: StepPlan, tokens: object, stopped: object = ()) -> StepResult:
    return StepResult(plan.step_id, tokens, stopped)  # type: ignore[arg-type]  # wrong on purpose


ANSWERS: dict[str, Wrong] = {
    "nothing": lambda k, _: k.commit(None),  # type: ignore[arg-type]  # wrong
    "a plan": lambda k, p: k.commit(p),  # type: ignore[arg-type]  # wrong
    "of the step before": lambda k, p: k.commit(
        StepResult(StepId(p.step_id - 1), tokens_of(p))
    ),
    "of the next step": lambda k, p: k.commit(
        StepResult(StepId(p.step_id + 1), tokens_of(p))
    ),
    "one token missing": lambda k, p: k.commit(commit(p, without_one(p))),
    "one token too many": lambda k, p: k.commit(
        commit(p, tokens_of(p) | {STRANGER: 1})
    ),
    "one of a stranger": lambda k, p: k.commit(commit(p, instead_of_one(p))),
    "negative": lambda k, p: k.commit(commit(p, with_token(p, -1))),
    "too large": lambda k, p: k.commit(commit(p, with_token(p, 2**31))),
    "a fraction": lambda k, p: k.commit(commit(p, with_token(p, 1.0))),
    "no number": lambda k, p: k.commit(commit(p, with_token(p, "7"))),
    "no mapping": lambda k, p: k.commit(commit(p, list(tokens_of(p)))),
    "stops a stranger": lambda k, p: k.commit(commit(p, tokens_of(p), (STRANGER,))),
    "stops what is no id": lambda k, p: k.commit(commit(p, tokens_of(p), ([1],))),
    "stops in a list": lambda k, p: k.commit(commit(p, tokens_of(p), [])),
    "fails the step before": lambda k, p: k.fail(StepId(p.step_id - 1)),
    "fails the next step": lambda k, p: k.fail(StepId(p.step_id + 1)),
    "at a fraction of time": lambda k, _: k.plan(1.5),  # type: ignore[arg-type]  # wrong
    "at a time that is no number": lambda k, _: k.plan(None),  # type: ignore[arg-type]  # wrong
}
UNASKED: dict[str, Callable[[Kernel], object]] = {
    "commits": lambda k: k.commit(StepResult(StepId(0), {})),
    "fails": lambda k: k.fail(StepId(0)),
    "plans at no time": lambda k: k.plan(True),  # noqa: FBT003  # it is the mistake
    "submits text": lambda k: k.submit("hello"),  # type: ignore[arg-type]  # wrong
    "submits at a fraction of time": lambda k: k.submit(
        Request(tenant="a", prompt=[1], max_tokens=1),
        0.5,  # type: ignore[arg-type]  # wrong
    ),
}


def check_both_go_on_alike(one: Player, other: Player, rest: list[Op]) -> None:
    assert one.kernel.snapshot() == other.kernel.snapshot()
    one.kernel.check()
    one.log.clear()
    other.log.clear()
    assert other.play(rest) == one.play(rest)
    assert other.finish() == one.finish()
    assert one.kernel.snapshot() == other.kernel.snapshot()


def twins(setting: Setting, program: Program) -> tuple[Player, Player]:
    one, other = Player(setting), Player(setting)
    one.play(program)
    other.play(program)
    return one, other


@given(
    setting=settings_of_kernels,
    program=programs,
    where=st.integers(0, 100),
    names=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=3),
)
def test_a_wrong_answer_changes_nothing(
    setting: Setting, program: Program, where: int, names: list[str]
) -> None:
    """The first plan that is outstanding from there on is answered wrongly."""
    where %= len(program)
    one, other = twins(setting, program[:where])
    rest = program[where:]
    while one.outstanding is None and rest:
        op = rest.pop(0)
        one.do(op)
        other.do(op)
    plan = one.outstanding
    assume(plan is not None)
    assert plan is not None

    for name in names:
        with pytest.raises(UsageError):
            ANSWERS[name](one.kernel, plan)
        event(name)

    check_both_go_on_alike(one, other, rest)


@part(2)
@given(
    setting=settings_of_kernels,
    program=programs,
    name=st.sampled_from(sorted(UNASKED)),
)
def test_a_call_out_of_place_changes_nothing(
    setting: Setting, program: Program, name: str
) -> None:
    one, other = twins(setting, program)
    if one.outstanding is not None:
        one.kernel.fail(one.outstanding.step_id)
        other.kernel.fail(one.outstanding.step_id)
        one.outstanding = other.outstanding = None

    with pytest.raises(UsageError):
        UNASKED[name](one.kernel)

    check_both_go_on_alike(one, other, program)


@part(2)
@given(
    setting=settings_of_kernels,
    program=programs,
    ids=st.lists(st.integers(-5, -1) | st.integers(10**6, 10**7), max_size=4),
)
def test_cancelling_what_does_not_live_changes_nothing(
    setting: Setting, program: Program, ids: list[int]
) -> None:
    one, other = twins(setting, program)
    live = [each.request_id for each in one.kernel.snapshot().requests]
    over = [id_ for id_ in range(one.submitted) if id_ not in live]

    for id_ in [*ids, *over]:
        assert not one.kernel.cancel(RequestId(id_))

    check_both_go_on_alike(one, other, program)


@part(2)
@given(
    setting=settings_of_kernels,
    program=programs,
    prompt=st.integers(1, 400),
    max_tokens=st.integers(1, 400),
    new=st.booleans(),
)
def test_a_request_is_refused_exactly_when_it_can_never_fit(
    setting: Setting, program: Program, prompt: int, max_tokens: int, *, new: bool
) -> None:
    one, other = twins(setting, program)
    assume(one.kernel.snapshot().waiting < (setting.policy.max_waiting or 10**9))
    capacity = setting.capacity
    positions = prompt + max_tokens - 1
    blocks = -(-positions // capacity.block_size)
    tenant = "new" if new else "a"
    request = Request(tenant=tenant, prompt=range(prompt), max_tokens=max_tokens)

    if blocks <= capacity.blocks:
        one.kernel.submit(request)
        one.finish()
        return
    with pytest.raises(RequestRejected) as caught:
        one.kernel.submit(request)

    error = caught.value
    assert (False, blocks) == (error.retryable, error.needed)
    assert capacity.blocks == error.available
    check_both_go_on_alike(one, other, program)


@given(
    total=st.one_of(st.none(), st.integers(1, 6)),
    each=st.one_of(st.none(), st.integers(1, 4)),
    tenants=st.lists(st.sampled_from("ab"), max_size=16),
)
def test_a_queue_takes_as_many_as_it_may_and_says_what_it_holds(
    total: int | None, each: int | None, tenants: list[str]
) -> None:
    policy = Policy(max_waiting=total, max_waiting_per_tenant=each)
    kernel = Kernel(Capacity(blocks=8), policy)
    queued = {"a": 0, "b": 0}

    for tenant in tenants:
        request = Request(tenant=tenant, prompt=[1], max_tokens=1)
        alone = each is not None and queued[tenant] >= each
        together = total is not None and sum(queued.values()) >= total
        if not alone and not together:
            kernel.submit(request)
            queued[tenant] += 1
            continue
        with pytest.raises(RequestRejected) as caught:
            kernel.submit(request)
        assert caught.value.retryable
        assert caught.value.available == (each if alone else total)
        assert sum(queued.values()) == kernel.snapshot().waiting
