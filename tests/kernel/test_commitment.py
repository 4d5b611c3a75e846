"""Nobody is committed to more than the cap, or to one request."""

from collections.abc import Iterable, Iterator

import pytest

from fairq import (
    Fcfs,
    LinearCost,
    Order,
    Policy,
    RequestId,
    StepPlan,
)
from fairq.cost import SCALE
from tests.kernel.driving import Loop, capacity

ONE_BLOCK = LinearCost(prompt=0.0, output=1.0)
"""Prompts are free, so that turns change only when tokens come."""


def loop(policy: Policy, *, sequences: int = 1, **sizes: int) -> Loop:
    """By default one request at a time, so that who enters is who goes first."""
    return Loop(capacity(sequences=sequences, prefix_cache=True, **sizes), policy)


def entered(plan: StepPlan) -> list[RequestId]:
    return [enter.request_id for enter in plan.enter]


def order_of(made: Loop) -> list[RequestId]:
    """Run it to the end; who entered, in order."""
    found: list[RequestId] = []
    while made.live:
        found += entered(made.step())
    return found


def text(*words: int) -> Iterable[int]:
    """Each word is a block of four equal tokens; a token more ends the text."""
    return [word for word in words for _ in range(4)] + [0]


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
