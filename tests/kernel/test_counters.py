from fairq import Fcfs, LinearCost, Policy, RequestId, Vtc
from fairq.cost import SCALE
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from tests.kernel.driving import Loop, capacity
from tests.kernel.parts import counters, sequence


def wait(made: VirtualCounters, name: str, number: int = 0) -> Tenant:
    """A tenant with one waiting request."""
    tenant = made.tenant(name)
    tenant.waiting[RequestId(number)] = sequence(number, tenant)
    made.join(tenant)
    return tenant


def empty(made: VirtualCounters, tenant: Tenant) -> None:
    tenant.waiting.clear()
    made.leave(tenant)


def serve(made: VirtualCounters, tenant: Tenant, prompt: int) -> None:
    made.charge_admission(tenant, prompt, 0)
    tenant.prepaid -= prompt


# --- prices -------------------------------------------------------------------------


def test_prices_follow_cost_and_weight() -> None:
    policy = Policy(weights={"a": 4}, cost=LinearCost(prompt=1, output=3))
    made = counters(policy)
    assert made.tenant("a").prompt_price * 4 == SCALE
    assert made.tenant("a").output_price * 4 == 3 * SCALE
    assert made.tenant("b").prompt_price == SCALE


def test_a_name_means_one_tenant() -> None:
    made = counters()
    assert made.tenant("a") is made.tenant("a")


# --- lift ---------------------------------------------------------------------------


def test_a_newcomer_is_lifted_to_the_smallest_backlogged_counter() -> None:
    made = counters()
    serve(made, wait(made, "a"), 50)
    serve(made, wait(made, "b", 1), 80)
    assert wait(made, "c", 2).counter == 50 * SCALE


def test_whoever_has_debt_is_not_lifted() -> None:
    made = counters()
    debtor = made.tenant("debtor")
    serve(made, debtor, 500)
    serve(made, wait(made, "a"), 50)
    debtor.waiting[RequestId(9)] = sequence(9, debtor)
    made.join(debtor)
    assert debtor.lifted == 0


def test_with_an_empty_queue_a_newcomer_is_lifted_to_who_left_last() -> None:
    made = counters()
    early, late = wait(made, "early"), wait(made, "late", 1)
    serve(made, early, 90)
    serve(made, late, 40)
    empty(made, early)
    empty(made, late)
    assert wait(made, "new", 2).counter == 40 * SCALE


def test_the_counter_of_who_left_last_still_counts_what_it_decodes() -> None:
    made = counters()
    left = wait(made, "left")
    empty(made, left)
    left.outputs_offset = 10
    assert wait(made, "new", 1).counter == 20 * SCALE


def test_the_floor_never_falls() -> None:
    made = counters()
    first = wait(made, "a")
    serve(made, first, 100)
    assert wait(made, "b", 1).counter == 100 * SCALE
    made.refund(first, 0)
    first.prompt_tokens = 10
    made.backlogged.add(first)
    assert wait(made, "c", 2).counter == 100 * SCALE


def test_a_refund_raises_the_floor_first() -> None:
    made = counters()
    only = wait(made, "a")
    made.charge_admission(only, 100, 0)
    made.refund(only, 60)
    assert only.counter == 40 * SCALE
    assert only.prepaid == 40
    assert wait(made, "b", 1).counter == 100 * SCALE


def test_a_refund_of_nothing_changes_nothing() -> None:
    made = counters()
    only = wait(made, "a")
    serve(made, only, 5)
    made.refund(only, 0)
    assert only.counter == 5 * SCALE
    assert wait(made, "b", 1).counter == 5 * SCALE


def test_after_a_refund_the_heap_knows_the_smaller_turn() -> None:
    made = counters()
    first, second = wait(made, "a"), wait(made, "b", 1)
    made.charge_admission(first, 100, 0)
    serve(made, second, 50)
    assert made.backlogged.top() is second
    made.refund(first, 80)
    assert made.backlogged.top() is first


def test_without_a_gate_nobody_is_lifted() -> None:
    made = counters(Policy(discipline=Fcfs()))
    serve(made, wait(made, "a"), 50)
    assert wait(made, "b", 1).counter == 0
    assert made.gap_bound is None


# --- state stays small --------------------------------------------------------------


def test_an_idle_tenant_below_the_floor_is_forgotten() -> None:
    made = counters()
    guest = wait(made, "guest")
    serve(made, guest, 5)
    empty(made, guest)
    made.rest(guest)
    assert list(made.idle()) == [guest]
    serve(made, wait(made, "a", 1), 50)
    wait(made, "b", 2)
    assert list(made.tenants) == ["a", "b"]


def test_an_idle_tenant_above_the_floor_keeps_its_debt() -> None:
    made = counters()
    guest, other = wait(made, "guest"), wait(made, "a", 1)
    serve(made, guest, 500)
    empty(made, guest)
    made.rest(guest)
    serve(made, other, 50)
    wait(made, "b", 2)
    assert made.tenants["guest"] is guest
    assert wait(made, "guest", 3).counter == 500 * SCALE


def test_without_a_gate_an_idle_tenant_is_forgotten_at_once() -> None:
    made = counters(Policy(discipline=Fcfs()))
    guest = wait(made, "guest")
    empty(made, guest)
    made.rest(guest)
    assert made.tenants == {}


def test_ten_thousand_guests_one_after_another_leave_two_tenants_at_most() -> None:
    loop = Loop(capacity(), check=False)
    most = 0
    for number in range(10_000):
        loop.submit(f"guest-{number}", length=1 + number % 7, max_tokens=1)
        loop.run()
        most = max(most, len(loop.kernel._life.counters.tenants))
    loop.kernel.check()
    assert most <= 2


def test_ten_thousand_guests_beside_a_resident_leave_few_tenants() -> None:
    loop = Loop(capacity(sequences=4), check=False)
    most = 0
    for number in range(10_000):
        if loop.live < 8:
            loop.submit("resident", length=8, max_tokens=8)
        loop.submit(f"guest-{number}", length=1 + number % 7, max_tokens=1)
        loop.steps(2)
        most = max(most, len(loop.kernel._life.counters.tenants))
    loop.run()
    loop.kernel.check()
    assert most <= 32


def test_ten_thousand_guests_at_once_are_forgotten_once_somebody_returns() -> None:
    loop = Loop(capacity(sequences=64, blocks=256), check=False)
    for number in range(10_000):
        loop.submit(f"guest-{number}", length=2, max_tokens=1)
    loop.run()
    loop.submit("a")
    assert list(loop.kernel._life.counters.tenants) == ["a"]


# --- the bound ----------------------------------------------------------------------


def test_the_bound_is_twice_slack_and_largest_commitment_and_prepaid() -> None:
    made = counters(Policy(discipline=Vtc(slack=7)))
    assert made.gap_bound == 14.0
    tenant = made.tenant("a")
    made.charge_admission(tenant, prompt=30, outputs=10)
    made.measure_commitment(tenant, charge=30 * SCALE)
    assert made.gap_bound == 2.0 * (7 + 50)
    made.measure_prepaid(tenant)
    assert made.largest_commitment == (30 + 2 * 10) * SCALE
    assert made.largest_prepaid == 30 * SCALE
    assert made.gap_bound == 2.0 * (7 + 50 + 30)


def test_the_bound_remembers_the_largest() -> None:
    made = counters()
    for prompt in (10, 40, 20):
        tenant = made.tenant(f"t{prompt}")
        made.charge_admission(tenant, prompt, 0)
        made.measure_commitment(tenant, prompt * SCALE)
        made.measure_prepaid(tenant)
    assert made.gap_bound == 2.0 * (40 + 40)


# --- prefixes that are shared -------------------------------------------------------


def test_positions_found_in_the_cache_have_a_price_of_their_own() -> None:
    made = counters(Policy(cost=LinearCost(cached=0.25), weights={"b": 0.5}))
    for name, price in [("a", 0.25), ("b", 0.5)]:
        tenant = made.tenant(name)
        made.charge_cached(tenant, 8)
        assert 8 * price * SCALE == tenant.counter


def test_prices_at_weight_one_are_the_same_for_everybody_who_has_it() -> None:
    made = counters(Policy(weights={"b": 2.0, "c": 1}))
    prices = [made.tenant(name).prompt_price for name in "abcd"]
    assert [SCALE, SCALE // 2, SCALE, SCALE] == prices


def test_a_share_moves_a_charge_and_keeps_the_sum() -> None:
    made = counters(Policy(weights={"b": 2.0}))
    payer, member = wait(made, "a"), wait(made, "b", 1)
    serve(made, payer, 60)
    made.share(payer, member, 20)
    assert (40, 20) == (payer.prompt_tokens, member.prompt_tokens)
    assert (40 * SCALE, 10 * SCALE) == (payer.counter, member.counter)


def test_after_a_share_the_heap_knows_the_smaller_turn_of_the_payer() -> None:
    made = counters()
    payer, member, other = wait(made, "a"), wait(made, "b", 1), wait(made, "c", 2)
    serve(made, payer, 100)
    serve(made, member, 80)
    serve(made, other, 50)
    assert made.backlogged.top() is other
    made.share(payer, member, 60)
    assert made.backlogged.top() is payer


def test_the_bound_grows_by_twice_what_a_share_leaves_below_the_floor() -> None:
    made = counters()
    payer, member = wait(made, "a"), wait(made, "b", 1)
    serve(made, payer, 100)
    serve(made, member, 90)
    made.share(payer, member, 30)
    assert made.largest_shortfall == (90 - 70) * SCALE
    assert made.gap_bound == 2.0 * 20


def test_a_share_that_stays_above_the_floor_costs_nothing() -> None:
    made = counters()
    payer, member = wait(made, "a"), wait(made, "b", 1)
    serve(made, payer, 100)
    serve(made, member, 10)
    made.share(payer, member, 30)
    assert made.largest_shortfall == 0


def test_without_a_gate_a_share_needs_no_floor() -> None:
    made = counters(Policy(discipline=Fcfs()))
    payer, member = wait(made, "a"), wait(made, "b", 1)
    serve(made, payer, 10)
    made.share(payer, member, 4)
    assert (6, 4) == (payer.prompt_tokens, member.prompt_tokens)
    assert made.gap_bound is None
