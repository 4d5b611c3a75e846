import pytest

from fairq import Fcfs, LinearCost, Policy, RequestId
from tests.kernel.driving import Loop, capacity, request


def test_an_empty_kernel_reports_nothing_live() -> None:
    snapshot = Loop(capacity()).kernel.snapshot()
    assert (0, 0, 0) == (snapshot.waiting, snapshot.running, snapshot.steps)
    assert snapshot.blocks == snapshot.free_blocks == 64
    assert snapshot.outstanding is None
    assert snapshot.requests == ()
    assert snapshot.tenants == ()


def test_service_is_what_was_computed_and_not_what_was_charged() -> None:
    loop = Loop(capacity(tokens=6))
    loop.submit("a", length=20)
    loop.step()
    (tenant,) = loop.kernel.snapshot().tenants
    assert tenant.counter == 20.0
    assert tenant.prompt_tokens == 6
    assert tenant.service == 6.0


def test_service_counts_prompts_and_outputs_at_their_prices() -> None:
    policy = Policy(weights={"a": 4.0}, cost=LinearCost(prompt=1, output=3))
    loop = Loop(capacity(), policy)
    loop.submit("a", length=8, max_tokens=9)
    loop.steps(4)
    (tenant,) = loop.kernel.snapshot().tenants
    assert (8, 4) == (tenant.prompt_tokens, tenant.output_tokens)
    assert tenant.service == 8 + 3 * 4
    assert tenant.counter == (8 + 3 * 4) / 4


def test_tenants_and_requests_are_in_the_order_of_arrival() -> None:
    loop = Loop(capacity(sequences=1))
    for name in "zaz":
        loop.submit(name)
    loop.step()
    snapshot = loop.kernel.snapshot()
    assert [0, 1, 2] == [request.request_id for request in snapshot.requests]
    assert ["z", "a"] == [tenant.tenant for tenant in snapshot.tenants]


def test_the_outstanding_step_is_named() -> None:
    loop = Loop(capacity())
    loop.submit()
    loop.step()
    plan = loop.plan()
    assert plan.step_id == loop.kernel.snapshot().outstanding


def test_the_oldest_wait_is_that_of_the_head_of_the_queue() -> None:
    loop = Loop(capacity(sequences=1))
    for now in (100, 250, 300):
        loop.kernel.submit(request("a"), now_ns=now)
    loop.kernel.cancel(RequestId(0))
    assert loop.kernel.snapshot().tenants[0].oldest_wait_ns == 50


@pytest.mark.parametrize(
    ("policy", "bound"), [(Policy(), 0.0), (Policy(discipline=Fcfs()), None)]
)
def test_without_a_gate_there_is_no_bound(policy: Policy, bound: float | None) -> None:
    assert bound == Loop(capacity(), policy).kernel.snapshot().gap_bound


def test_a_snapshot_is_a_value_that_does_not_change() -> None:
    loop = Loop(capacity())
    loop.submit()
    before = loop.kernel.snapshot()
    again = loop.kernel.snapshot()
    loop.run()
    assert before == again
    assert before != loop.kernel.snapshot()


def test_looking_changes_nothing() -> None:
    looked, alone = Loop(capacity()), Loop(capacity())
    for loop in (looked, alone):
        loop.submit_many(5, length=5, max_tokens=9)
        while loop.live:
            if loop is looked:
                loop.kernel.snapshot()
                repr(loop.kernel)
            loop.step()
    assert alone.plans == looked.plans


def test_what_is_cached_and_what_was_found_is_told() -> None:
    loop = Loop(capacity(prefix_cache=True))
    loop.submit("a", length=9, max_tokens=1)
    loop.run()
    before = loop.kernel.snapshot()
    assert (62, 2, 0) == (
        before.free_blocks,
        before.cached_blocks,
        before.cached_tokens,
    )
    loop.submit("a", length=9, max_tokens=2)
    loop.step()
    after = loop.kernel.snapshot()
    assert (61, 0, 8) == (after.free_blocks, after.cached_blocks, after.cached_tokens)
    (tenant,) = after.tenants
    assert tenant.prompt_tokens == 9 + 1


def test_where_nothing_is_shared_nothing_is_cached() -> None:
    for policy in (Policy(), Policy(prefix_cache=None)):
        loop = Loop(capacity(prefix_cache=policy.prefix_cache is None), policy)
        loop.submit_many(2, length=9)
        loop.run()
        snapshot = loop.kernel.snapshot()
        assert snapshot.blocks == snapshot.free_blocks
        assert (0, 0) == (snapshot.cached_blocks, snapshot.cached_tokens)
