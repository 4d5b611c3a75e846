"""The calls of the kernel: what they accept, refuse and change."""

import pytest

from fairq import (
    Admission,
    Capacity,
    Events,
    Finished,
    FinishReason,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    UsageError,
)
from tests.kernel.driving import Loop, busy, capacity, request

NOBODY = RequestId(999)


# --- construction -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "name"),
    [(Policy(token_budget=65), "token_budget"), (Policy(max_sequences=9), "sequences")],
    ids=["budget", "sequences"],
)
def test_a_policy_may_not_ask_for_more_than_there_is(policy: Policy, name: str) -> None:
    with pytest.raises(UsageError, match=name):
        Kernel(capacity(), policy)


def test_a_kernel_needs_no_policy() -> None:
    assert Idle.NO_WORK is Kernel(capacity()).plan()


def test_nobody_can_add_attributes() -> None:
    with pytest.raises(AttributeError):
        Kernel(capacity()).colour = "red"  # type: ignore[attr-defined]  # refusal is the test


def test_a_repr_says_how_it_stands() -> None:
    text = repr(busy().kernel)
    assert text == "<Kernel step 2: 2 waiting, 3 running, 56/64 blocks free>"


def test_weights_of_strangers_do_not_make_tenants() -> None:
    kernel = Kernel(capacity(), Policy(weights={"nobody": 3.0}))
    assert kernel.snapshot().tenants == ()


# --- idle ---------------------------------------------------------------------------


def test_an_outstanding_plan_is_awaited() -> None:
    loop = busy()
    loop.plan()
    before = loop.kernel.snapshot()
    assert Idle.AWAITING_RESULT is loop.kernel.plan()
    assert before == loop.kernel.snapshot()


def test_when_all_is_done_there_is_no_work() -> None:
    loop = busy()
    loop.run()
    assert Idle.NO_WORK is loop.kernel.plan()


# --- submit -------------------------------------------------------------------------


def test_ids_are_numbers_in_the_order_of_submission() -> None:
    loop = Loop(capacity())
    assert [0, 1, 2] == [loop.submit(name) for name in "aba"]


def test_the_largest_request_that_fits_is_taken_and_finishes() -> None:
    loop = Loop(capacity(blocks=4, block_size=4))
    loop.submit(length=10, max_tokens=7)
    loop.run()
    assert len(loop.received[RequestId(0)]) == 7


@pytest.mark.parametrize("admission", Admission)
def test_one_position_too_many_is_refused_for_good(admission: Admission) -> None:
    kernel = Kernel(capacity(blocks=4, block_size=4), Policy(admission=admission))
    before = kernel.snapshot()
    with pytest.raises(RequestRejected, match="it can never run") as caught:
        kernel.submit(request(length=10, max_tokens=8))
    assert (False, 5, 4) == (
        caught.value.retryable,
        caught.value.needed,
        caught.value.available,
    )
    assert before == kernel.snapshot()


@pytest.mark.parametrize(
    "policy",
    [Policy(max_waiting=2), Policy(max_waiting_per_tenant=2)],
    ids=["total", "tenant"],
)
def test_a_full_queue_refuses_for_now(policy: Policy) -> None:
    kernel = Kernel(capacity(), policy)
    for _ in range(2):
        kernel.submit(request("a"))
    before = kernel.snapshot()
    with pytest.raises(RequestRejected, match="Try again") as caught:
        kernel.submit(request("a"))
    assert (True, 3, 2) == (
        caught.value.retryable,
        caught.value.needed,
        caught.value.available,
    )
    assert before == kernel.snapshot()


def test_a_full_tenant_does_not_shut_out_another() -> None:
    kernel = Kernel(capacity(), Policy(max_waiting_per_tenant=1))
    kernel.submit(request("a"))
    assert kernel.submit(request("b")) == 1


def test_a_refused_request_takes_no_number_and_leaves_no_tenant() -> None:
    kernel = Kernel(capacity(), Policy(max_waiting=1))
    kernel.submit(request("a"))
    with pytest.raises(RequestRejected):
        kernel.submit(request("stranger"))
    assert ["a"] == [tenant.tenant for tenant in kernel.snapshot().tenants]
    kernel.cancel(RequestId(0))
    assert kernel.submit(request("b")) == 1


def test_requests_in_the_batch_do_not_fill_the_queue() -> None:
    loop = Loop(capacity(), Policy(max_waiting=1))
    for _ in range(5):
        loop.submit()
        loop.step()
    assert loop.kernel.snapshot().waiting == 0


def test_a_preempted_request_does_not_count_as_one_more() -> None:
    """It waits, so a newcomer is refused; it is never refused itself."""
    loop = Loop(capacity(blocks=9), Policy(max_waiting=8))
    loop.kernel._life.rule._margin = 0  # type: ignore[attr-defined]  # expect no growth
    loop.submit_many(8, "a", length=4, max_tokens=12)
    loop.run()
    assert loop.preempted
    assert len(loop.finished) == 8


def test_time_never_goes_back() -> None:
    kernel = Kernel(capacity())
    kernel.submit(request(), now_ns=100)
    kernel.submit(request(), now_ns=40)
    kernel.plan(now_ns=130)
    snapshot = kernel.snapshot()
    assert snapshot.now_ns == 130
    assert snapshot.tenants[0].oldest_wait_ns == 30


def test_a_request_of_another_shape_of_capacity_fits_or_is_refused() -> None:
    kernel = Kernel(Capacity(blocks=1, block_size=1))
    assert kernel.submit(Request(tenant="a", prompt=[1], max_tokens=1)) == 0
    with pytest.raises(RequestRejected):
        kernel.submit(request(length=2, max_tokens=1))


# --- cancel -------------------------------------------------------------------------


def cancelled(request_id: int, tokens: int) -> Events:
    end = Finished(RequestId(request_id), FinishReason.CANCELLED, tokens)
    return Events(finished=(end,))


def test_cancel_tells_how_far_the_request_got() -> None:
    loop = busy()
    assert cancelled(0, 2) == loop.cancel(RequestId(0))
    assert cancelled(2, 0) == loop.cancel(RequestId(2))
    assert cancelled(4, 0) == loop.cancel(RequestId(4))


@pytest.mark.parametrize("request_id", range(5))
def test_cancelling_twice_is_harmless(request_id: int) -> None:
    loop = busy()
    loop.cancel(RequestId(request_id))
    before = loop.kernel.snapshot()
    assert Events() == loop.cancel(RequestId(request_id))
    assert before == loop.kernel.snapshot()


@pytest.mark.parametrize("request_id", range(5))
def test_cancelling_twice_while_a_step_runs_is_harmless(request_id: int) -> None:
    loop = busy()
    plan = loop.plan()
    assert loop.cancel(RequestId(request_id)).finished
    before = loop.kernel.snapshot()
    assert Events() == loop.cancel(RequestId(request_id))
    assert before == loop.kernel.snapshot()
    loop.answer(plan)
    assert Events() == loop.cancel(RequestId(request_id))


def test_cancelling_a_stranger_or_a_finished_request_is_harmless() -> None:
    loop = busy()
    before = loop.kernel.snapshot()
    assert Events() == loop.cancel(NOBODY)
    assert before == loop.kernel.snapshot()
    loop.run()
    assert Events() == loop.cancel(RequestId(0))


@pytest.mark.parametrize("request_id", range(5))
@pytest.mark.parametrize("outstanding", [False, True], ids=["between", "during"])
@pytest.mark.parametrize("failing", [False, True], ids=["commit", "fail"])
def test_a_cancel_in_any_state_frees_everything(
    request_id: int,
    outstanding: bool,  # noqa: FBT001  # a parameter of the test
    failing: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    loop = busy()
    plan = loop.plan() if outstanding else None
    loop.cancel(RequestId(request_id))
    plan = loop.plan() if plan is None else plan
    if failing:
        loop.fail(plan)
    else:
        loop.answer(plan)
    loop.run()
    snapshot = loop.kernel.snapshot()
    assert snapshot.blocks == snapshot.free_blocks
    assert set(range(5)) == set(loop.finished)
    assert FinishReason.CANCELLED is loop.finished[RequestId(request_id)]


def test_blocks_named_in_a_plan_stay_taken_until_it_is_answered() -> None:
    loop = busy()
    plan = loop.plan()
    free = loop.kernel.snapshot().free_blocks
    loop.cancel(RequestId(0))
    assert free == loop.kernel.snapshot().free_blocks
    loop.answer(plan)
    assert loop.kernel.snapshot().free_blocks > free


def test_decodes_do_not_change_while_a_plan_is_outstanding() -> None:
    loop = busy()
    plan = loop.plan()
    before = list(plan.decodes)
    loop.cancel(RequestId(0))
    loop.submit("new")
    assert before == list(plan.decodes)


def test_a_cancelled_member_leaves_with_the_next_plan() -> None:
    loop = busy()
    loop.cancel(RequestId(0))
    assert loop.plan().leave == (RequestId(0),)


# --- commit -------------------------------------------------------------------------


def test_the_mapping_of_the_backend_is_handed_on_and_not_copied() -> None:
    loop = busy()
    result = loop.witness.execute(loop.plan())
    assert result.tokens is loop.kernel.commit(result).tokens


def test_whoever_reaches_max_tokens_is_finished_by_length() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=1)
    events = loop.answer(loop.plan())
    assert events.finished == (Finished(RequestId(0), FinishReason.LENGTH, 1),)


def test_whoever_the_backend_stops_is_finished_by_stop() -> None:
    loop = Loop(capacity())
    loop.submit_many(2, max_tokens=5)
    loop.step()
    events = loop.answer(loop.plan(), stop=[RequestId(1)])
    assert events.finished == (Finished(RequestId(1), FinishReason.STOP, 2),)


def test_a_stop_at_the_last_token_is_a_stop() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=1)
    events = loop.answer(loop.plan(), stop=[RequestId(0)])
    assert events.finished == (Finished(RequestId(0), FinishReason.STOP, 1),)


def test_a_stop_named_twice_ends_once() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=5)
    events = loop.answer(loop.plan(), stop=[RequestId(0), RequestId(0)])
    assert len(events.finished) == 1


def test_a_request_cancelled_during_its_last_step_is_reported_once() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=1)
    plan = loop.plan()
    loop.cancel(RequestId(0))
    assert loop.answer(plan).finished == ()
    assert loop.finished == {RequestId(0): FinishReason.CANCELLED}


def test_every_token_is_delivered_once_and_in_order() -> None:
    loop = busy()
    loop.run()
    assert loop.witness.produced == loop.received


# --- fail ---------------------------------------------------------------------------


def test_a_request_is_given_up_after_too_many_failures_in_a_row() -> None:
    loop = Loop(capacity(), Policy(max_failures=2))
    loop.submit()
    for _ in range(2):
        assert Events() == loop.fail(loop.plan())
    events = loop.fail(loop.plan())
    assert events.finished == (Finished(RequestId(0), FinishReason.FAILED, 0),)
    assert Idle.NO_WORK is loop.kernel.plan()


def test_success_forgives_failures() -> None:
    loop = Loop(capacity(), Policy(max_failures=1))
    loop.submit(max_tokens=6)
    while loop.live:
        loop.fail(loop.plan())
        loop.step()
    assert loop.finished == {RequestId(0): FinishReason.LENGTH}
    assert loop.kernel._failures == {}


@pytest.mark.parametrize("end", ["given up", "cancelled"])
def test_failures_of_a_request_that_is_over_are_forgotten(end: str) -> None:
    loop = Loop(capacity(), Policy(max_failures=0 if end == "given up" else 3))
    loop.submit()
    loop.fail(loop.plan())
    loop.cancel(RequestId(0))
    assert loop.live == 0
    assert loop.kernel._failures == {}


def test_whoever_was_not_in_the_failed_steps_is_not_given_up() -> None:
    loop = Loop(capacity(sequences=1), Policy(max_failures=0))
    loop.submit_many(2)
    assert [0] == [end.request_id for end in loop.fail(loop.plan()).finished]
    loop.run()
    assert FinishReason.LENGTH is loop.finished[RequestId(1)]


def test_a_cancelled_request_is_not_given_up_as_well() -> None:
    loop = Loop(capacity(), Policy(max_failures=0))
    loop.submit()
    plan = loop.plan()
    loop.cancel(RequestId(0))
    assert Events() == loop.fail(plan)
    assert loop.finished == {RequestId(0): FinishReason.CANCELLED}


def test_a_failed_step_charges_nobody() -> None:
    loop = busy()
    before = loop.kernel.snapshot()
    loop.fail(loop.plan())
    assert before == loop.kernel.snapshot()
