"""Who goes first inside the gate: by order, patience, width, and commitment."""

from collections.abc import Iterator

import pytest

from fairq import (
    Admission,
    Dlpm,
    Fcfs,
    Lpm,
    Order,
    Policy,
    PrefixCache,
    RequestId,
    Vtc,
)
from fairq.cost import SCALE
from fairq.kernel._newcomers import LOOKAHEAD, WINDOW
from tests.kernel.driving import Loop, capacity
from tests.kernel.loops import ONE_BLOCK, entered, loop, order_of, text

# --- the orders inside a tenant -----------------------------------------------------


def test_fifo_serves_by_age() -> None:
    made = loop(Policy(order=Order.FIFO))
    ids = [made.submit(length=length) for length in (9, 1, 5)]
    assert ids == order_of(made)


def test_prefix_serves_the_longest_cached_prefix_first() -> None:
    made = loop(Policy(order=Order.PREFIX))
    made.send(text(1, 2, 3), max_tokens=1)
    made.run()
    none = made.send(text(7, 7, 7))
    one, three, two = (made.send(text(*w)) for w in [(1,), (1, 2, 3), (1, 2, 9)])
    assert [three, two, one, none] == order_of(made)


def test_prefix_looks_again_at_what_is_cached_after_each_admission() -> None:
    """The first leaves a prefix behind that puts the last before the second."""
    made = loop(Policy(order=Order.PREFIX))
    first, second = made.send(text(1, 2)), made.send(text(3, 4))
    third = made.send(text(1, 2, 5))
    assert [first, third, second] == order_of(made)


def test_of_equal_prefixes_the_older_goes_first() -> None:
    made = loop(Policy(order=Order.PREFIX))
    ids = [made.send(text(number)) for number in range(4)]
    assert ids == order_of(made)


def test_shortest_serves_the_fewest_tokens_left_first() -> None:
    made = loop(Policy(order=Order.SHORTEST))
    long = made.submit(length=9, max_tokens=9)
    ten, four = made.submit(length=8, max_tokens=2), made.submit(length=1, max_tokens=3)
    assert [four, ten, long] == order_of(made)


def test_shortest_counts_only_what_is_to_compute() -> None:
    made = loop(Policy(order=Order.SHORTEST))
    made.send(text(1, 2, 3), max_tokens=1)
    made.run()
    cold = made.send(text(7), max_tokens=4)
    warm = made.send(text(1, 2, 3), max_tokens=4)
    assert [warm, cold] == order_of(made)


def test_decode_heavy_serves_most_output_for_its_prompt_first() -> None:
    made = loop(Policy(order=Order.DECODE_HEAVY))
    even = made.submit(length=4, max_tokens=4)
    heavy, light = made.submit(length=2, max_tokens=9), made.submit(length=9)
    assert [heavy, even, light] == order_of(made)


def test_a_preempted_request_is_ranked_by_what_is_left_of_it() -> None:
    policy = Policy(order=Order.SHORTEST, prefix_cache=None)
    made = Loop(capacity(blocks=9, sequences=8), policy)
    made.kernel._life.rule._margin = 0  # type: ignore[attr-defined]  # expect no growth
    made.submit_many(8, "a", length=4, max_tokens=12)
    made.run()
    assert made.preempted
    assert all(len(made.received[RequestId(number)]) == 12 for number in range(8))


def test_only_the_oldest_requests_of_a_tenant_are_compared() -> None:
    made = loop(Policy(order=Order.SHORTEST, patience=1000, prefix_cache=None))
    ids = made.submit_many(WINDOW, length=5)
    beyond = made.submit(length=1)
    # With one of them gone it is in sight.
    assert [ids[0], beyond, *ids[1:]] == order_of(made)


# --- patience -----------------------------------------------------------------------


@pytest.mark.parametrize("patience", [0, 1, 3, 7])
@pytest.mark.parametrize("sequences", [1, 2, 5, 8])
def test_no_more_than_so_many_pass_the_oldest(patience: int, sequences: int) -> None:
    policy = Policy(order=Order.SHORTEST, patience=patience, prefix_cache=None)
    made = loop(policy, sequences=sequences)
    oldest = made.submit(length=20)
    made.submit_many(12, length=1)
    before = order_of(made).index(oldest)
    assert patience == before


def test_without_patience_every_order_is_fifo() -> None:
    for order in Order:
        policy = Policy(order=order, patience=0, prefix_cache=None)
        made = loop(policy, sequences=3)
        ids = [made.submit(length=9 - number, max_tokens=3) for number in range(8)]
        assert ids == order_of(made)


def test_whoever_becomes_the_oldest_has_been_passed_by_nobody() -> None:
    """Two may pass each of the long ones."""
    made = loop(Policy(order=Order.SHORTEST, patience=2, prefix_cache=None))
    long = [made.submit(length=20) for _ in range(2)]
    short = made.submit_many(6, length=1)
    expected = [*short[:2], long[0], *short[2:4], long[1], *short[4:]]
    assert expected == order_of(made)


def test_whoever_lost_patience_goes_first_even_if_it_does_not_fit() -> None:
    """Otherwise small requests would keep the room from it for ever."""
    policy = Policy(
        order=Order.SHORTEST,
        patience=1,
        prefix_cache=None,
        admission=Admission.RESERVE,
    )
    made = loop(policy, sequences=8, blocks=8)
    resident = made.submit(length=4, max_tokens=9)
    made.step()
    large = made.submit(length=24, max_tokens=4)
    small = made.submit_many(4, length=1, max_tokens=1)
    assert [small[0]] == entered(made.step())
    assert entered(made.step()) == []
    made.cancel(resident)
    made.step()
    assert large in made.first_step


# --- between tenants: the width of the gate -----------------------------------------


def everybody(discipline: Vtc | Dlpm | Lpm | Fcfs, order: Order) -> Policy:
    return Policy(
        discipline=discipline,
        order=order,
        cost=ONE_BLOCK,
        prefix_cache=PrefixCache(everybody=True),
    )


def turns(made: Loop) -> Iterator[tuple[int, int]]:
    """Run it; of each admission the counter it had and the smallest one then waiting.

    Counters as the plan saw them: prompts are free, so admissions add nothing.
    """
    life = made.kernel._life
    while made.live:
        counters = {t: t.counter for t in life.counters.tenants.values()}
        left = {t: len(t.waiting) for t in counters}
        tenants = {id_: sequence.tenant for id_, sequence in life.sequences.items()}
        for request_id in entered(made.step()):
            tenant = tenants[request_id]
            waiting = [counters[each] for each in counters if left[each]]
            yield counters[tenant], min(waiting)
            left[tenant] -= 1


def crowd(policy: Policy, sequences: int = 1) -> Loop:
    """Three tenants whose requests share prefixes, in an order that invites passing."""
    made = loop(policy, sequences=sequences, blocks=256)
    for number in range(36):
        name = "abc"[number % 3]
        made.send(text(number % 2, 2, number % 5), name, max_tokens=1 + number % 7)
    return made


@pytest.mark.parametrize("slack", [0.0, 3.0, 12.0])
@pytest.mark.parametrize("order", Order)
def test_nobody_goes_ahead_who_is_beyond_the_width_of_the_gate(
    order: Order, slack: float
) -> None:
    found = list(turns(crowd(everybody(Vtc(slack), order), sequences=3)))
    assert len(found) == 36
    assert all(own - least <= slack * SCALE for own, least in found)


@pytest.mark.parametrize("order", [Order.PREFIX, Order.SHORTEST, Order.DECODE_HEAVY])
def test_within_the_gate_somebody_does_go_ahead(order: Order) -> None:
    found = list(turns(crowd(everybody(Vtc(12.0), order))))
    assert any(own > least for own, least in found)


def test_a_longer_prefix_goes_ahead_of_an_older_request_within_the_slack() -> None:
    for slack, first in [(9.0, "cold"), (10.0, "warm")]:
        made = loop(everybody(Vtc(slack), Order.PREFIX))
        made.send(text(1, 2, 3), "warm", max_tokens=10)
        made.send(text(5), "cold", max_tokens=1)
        made.step()  # warm runs; cold waits at 0
        cold = made.send(text(6), "cold", max_tokens=1)
        for _ in range(9):
            made.step()
        warm = made.send(text(1, 2, 3), "warm", max_tokens=1)
        assert {"cold": RequestId(1), "warm": warm}[first] == order_of(made)[0]
        assert cold in made.finished


def test_lpm_lets_everybody_go_ahead_of_everybody() -> None:
    made = loop(everybody(Lpm(), Order.PREFIX))
    made.send(text(1, 2, 3), "hot", max_tokens=1)
    made.run()
    cold = made.send(text(9), "cold", max_tokens=1)
    hot = [made.send(text(1, 2, 3), "hot", max_tokens=1) for _ in range(20)]
    assert [*hot, cold] == order_of(made)


def test_fcfs_lets_only_the_first_tenant_choose() -> None:
    made = loop(Policy(discipline=Fcfs(), order=Order.SHORTEST, prefix_cache=None))
    a, b = made.submit("a", length=9), made.submit("b", length=1)
    short = made.submit("a", length=3)
    assert [short, a, b] == order_of(made)


def test_fcfs_in_any_order_waits_for_a_request_that_does_not_fit() -> None:
    policy = Policy(
        discipline=Fcfs(), order=Order.SHORTEST, admission=Admission.RESERVE
    )
    made = loop(policy, sequences=8, blocks=8)
    made.submit("a", length=20, max_tokens=4)
    made.step()
    made.submit("large", length=20)
    made.submit("b", length=1)
    assert entered(made.step()) == []


@pytest.mark.parametrize("slack", [0.0, 5.0])
def test_in_any_order_others_pass_whoever_does_not_fit_within_the_gate(
    slack: float,
) -> None:
    policy = Policy(
        discipline=Vtc(slack), order=Order.SHORTEST, admission=Admission.RESERVE
    )
    made = loop(policy, sequences=8, blocks=8)
    made.submit("resident", length=20, max_tokens=4)
    made.step()
    large = made.submit("large", length=20)
    small = [made.submit("small", length=1, max_tokens=1) for _ in range(9)]
    passed = [id_ for _ in range(2) for id_ in entered(made.step())]
    assert large not in passed
    # Each costs three; at an equal counter one more may go.
    assert small[: 1 + int(slack // 3)] == passed


def test_only_the_first_tenants_inside_the_gate_are_compared() -> None:
    made = loop(Policy(discipline=Vtc(1e6), order=Order.SHORTEST, prefix_cache=None))
    for number in range(LOOKAHEAD):
        made.submit(f"t{number}", length=5)
    beyond = made.submit("beyond", length=1)
    assert [beyond] != entered(made.plan())


def test_with_slack_zero_tenants_alternate_in_any_order() -> None:
    for order in Order:
        made = loop(Policy(order=order, prefix_cache=None))
        for name in "aabb":
            made.submit(name)
        assert [0, 2, 1, 3] == order_of(made)


# --- dlpm ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("sequences", [1, 3])
def test_dlpm_without_a_quantum_is_vtc(order: Order, sequences: int) -> None:
    found = [
        order_of(crowd(everybody(discipline, order), sequences))
        for discipline in (Vtc(), Dlpm(0))
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("quantum", [1.0, 4.0, 11.0])
@pytest.mark.parametrize("sequences", [1, 3])
def test_dlpm_admits_only_from_the_lowest_round(quantum: float, sequences: int) -> None:
    width = round(SCALE * quantum)
    found = list(turns(crowd(everybody(Dlpm(quantum), Order.PREFIX), sequences)))
    assert len(found) == 36
    assert all(own // width == least // width for own, least in found)


@pytest.mark.parametrize("quantum", [1.0, 4.0, 11.0])
def test_dlpm_stays_inside_the_gate_of_the_same_width(quantum: float) -> None:
    found = list(turns(crowd(everybody(Dlpm(quantum), Order.PREFIX), 3)))
    assert all(own - least < quantum * SCALE for own, least in found)
    assert any(own > least for own, least in found) or quantum < 4


def test_a_round_is_served_by_prefix_and_the_next_begins_when_it_is_used_up() -> None:
    made = loop(everybody(Dlpm(4.0), Order.PREFIX))
    made.send(text(1, 2, 3), "hot", max_tokens=1)
    made.run()
    cold = made.send(text(9), "cold", max_tokens=1)
    hot = [made.send(text(1, 2, 3), "hot", max_tokens=1) for _ in range(8)]
    # One token each, and the first was served one before: three are left to go ahead.
    found = order_of(made)
    assert hot[: found.index(cold)] == found[: found.index(cold)]
    assert 2 <= found.index(cold) <= 4


def test_a_debt_survives_leaving_and_coming_back() -> None:
    """Nothing is forgiven: who took more than a round waits for the others."""
    made = loop(everybody(Dlpm(4.0), Order.PREFIX), sequences=3)
    for first in (1, 2):
        made.send(text(first), "hot", max_tokens=30)
    poor = [made.submit("poor", length=1, max_tokens=2) for _ in range(60)]
    made.steps(30)
    tenants = made.kernel._life.counters.tenants
    debt, had = tenants["hot"].counter, tenants["poor"].counter
    assert not tenants["hot"].running
    assert (60 * SCALE, 30 * SCALE) == (debt, had)
    hot = made.send(text(1), "hot", max_tokens=1)
    assert debt == tenants["hot"].counter
    found = order_of(made)
    # Fourteen of two tokens each bring it to 58; it is in the round that begins at 60.
    assert 14 <= found.index(hot) <= 18
    assert len(poor) == 60


# --- held back for a prefix ---------------------------------------------------------


@pytest.mark.parametrize("order", Order)
def test_others_of_the_tenant_go_ahead_of_a_request_that_is_held_back(
    order: Order,
) -> None:
    made = loop(Policy(order=order), sequences=8, tokens=8)
    made.send(text(1, 2, 3))
    held, other = made.send(text(1, 2, 3)), made.send([5])
    found = order_of(made)
    assert found.index(other) < found.index(held)
    assert held in made.finished


def test_a_request_that_is_held_back_keeps_its_tenant_in_the_gate() -> None:
    """Its turn still counts: nobody beyond the slack goes ahead of it."""
    policy = everybody(Vtc(), Order.PREFIX)
    made = loop(policy, sequences=8, tokens=4)
    made.submit("rich", length=1, max_tokens=8)
    made.step()
    made.send(text(1, 2, 3), "a")
    made.send(text(1, 2, 3), "b")
    made.submit("rich", length=1)
    made.step()
    assert [0, 1] == list(made.first_step)
