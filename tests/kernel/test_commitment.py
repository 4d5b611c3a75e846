"""Nobody is committed to more than the cap, or to one request."""

from collections.abc import Iterator

import pytest

from fairq import (
    Fcfs,
    Order,
    Policy,
    RequestId,
)
from fairq.cost import SCALE
from tests.kernel.driving import Loop
from tests.kernel.loops import entered, loop, order_of


def commitments(made: Loop) -> Iterator[tuple[float, int]]:
    """By step and tenant: what it is committed to, and its members."""
    while made.live:
        made.step()
        for tenant in made.kernel._life.counters.tenants.values():
            prompts = tenant.prompt_price * tenant.prepaid
            owed = tenant.output_price * tenant.owed
            yield (prompts + owed) / SCALE, len(tenant.running)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("cap", [1.0, 12.0, 30.0])
def test_nobody_is_committed_to_more_than_the_cap_or_one_request(
    order: Order, cap: float
) -> None:
    policy = Policy(order=order, commitment=cap, prefix_cache=None)
    made = loop(policy, sequences=8, tokens=16)
    for number in range(24):
        made.submit("ab"[number % 2], length=1 + number % 9, max_tokens=1 + number % 5)
    largest = 9 + 2 * 5
    for committed, members in commitments(made):
        assert committed <= cap or members == 1
        assert committed <= max(cap, largest)
    measured = made.kernel._life.counters.largest_commitment
    assert 0 < measured <= SCALE * max(cap, largest)


def test_a_cap_is_per_unit_of_weight() -> None:
    policy = Policy(commitment=24.0, weights={"b": 2.0}, prefix_cache=None)
    made = loop(policy, sequences=8)
    for name in "ab":
        for _ in range(6):
            made.submit(name, length=4, max_tokens=4)
    made.step()
    running = {t.tenant: t.running for t in made.kernel.snapshot().tenants}
    assert {"a": 2, "b": 4} == running


def test_without_a_cap_one_tenant_may_fill_the_batch() -> None:
    made = loop(Policy(prefix_cache=None), sequences=8)
    made.submit_many(8, length=4, max_tokens=4)
    assert len(entered(made.step())) == 8


def test_a_tenant_at_its_cap_is_passed_by_others_within_the_gate() -> None:
    made = loop(Policy(commitment=12.0, prefix_cache=None), sequences=8)
    a = made.submit_many(2, "a")
    b = made.submit("b")
    assert [a[0], b] == entered(made.step())


def test_under_fcfs_too_a_tenant_at_its_cap_holds_back_nobody_else() -> None:
    policy = Policy(discipline=Fcfs(), commitment=12.0, prefix_cache=None)
    made = loop(policy, sequences=8)
    a = made.submit_many(2, "a")
    b = made.submit("b")
    assert [a[0], b] == entered(made.step())


def test_a_tenant_without_members_may_always_have_one() -> None:
    made = loop(Policy(commitment=0.5, prefix_cache=None), sequences=8)
    made.submit_many(3, length=8)
    assert [RequestId(0), RequestId(1), RequestId(2)] == order_of(made)
