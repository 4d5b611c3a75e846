import pytest

from fairq import Fcfs, LinearCost, Policy, PrefixCache
from fairq.cost import SCALE
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from tests.kernel.driving import capacity
from tests.kernel.parts import admit, arrive, lifecycle


def decode(life: Lifecycle, member: Sequence) -> Sequence:
    life.batch.advance({})
    life.compute(member, 0, member.known)
    life.sample(member, 7)
    return member


def test_an_arrival_waits_at_the_end_of_its_queue() -> None:
    life = lifecycle()
    first, second = arrive(life, 0), arrive(life, 1)
    assert list(first.tenant.waiting.values()) == [first, second]
    assert life.waiting == 2
    assert first.tenant in life.counters.backlogged


def test_admission_moves_a_request_from_queue_to_batch_and_charges_its_prompt() -> None:
    life = lifecycle()
    member = admit(life, arrive(life, 0))
    assert life.waiting == 0
    assert len(life.batch) == 1
    assert member.tenant.counter == 4 * SCALE
    assert member.tenant.owed == 4
    assert member.prepaid == 4
    assert member.tenant not in life.counters.backlogged


def test_a_chunk_settles_its_part_of_the_charge() -> None:
    life = lifecycle()
    member = admit(life, arrive(life, 0))
    life.compute(member, 0, 3)
    assert (3, 1) == (member.paid, member.prepaid)
    assert member.tenant.prepaid == 1
    assert member.tenant.counter == 4 * SCALE


def test_outputs_are_charged_by_the_step() -> None:
    life = lifecycle()
    member = decode(life, admit(life, arrive(life, 0)))
    assert member.tenant.counter == (4 + 2) * SCALE
    life.batch.advance({member.id: 8})
    assert member.tenant.counter == (4 + 4) * SCALE


def test_a_preempted_request_is_first_in_its_queue_again() -> None:
    life = lifecycle()
    member = decode(life, admit(life, arrive(life, 0)))
    arrive(life, 1)
    life.preempt(member)
    assert list(member.tenant.waiting) == [0, 1]
    assert member.blocks == []
    assert member.phase is Phase.WAITING
    assert life.preemptions == 1
    assert life.ledger.free == life.ledger.total


def test_a_preempted_request_has_its_turn_back_under_first_come_first_served() -> None:
    life = lifecycle(Policy(discipline=Fcfs()))
    member = admit(life, arrive(life, 0, "a"))
    other = arrive(life, 1, "b")
    arrive(life, 2, "a")
    assert life.counters.backlogged.top() is other.tenant
    life.preempt(member)
    assert life.counters.backlogged.top() is member.tenant


def test_recomputing_is_counted_and_never_charged_again() -> None:
    life = lifecycle()
    member = decode(life, admit(life, arrive(life, 0)))
    charged = member.tenant.counter
    life.preempt(member)
    admit(life, member)
    assert charged == member.tenant.counter
    life.compute(member, 0, 5)
    assert charged == member.tenant.counter
    assert life.recomputed == 4  # the fifth position is the output: new


def half_computed(life: Lifecycle) -> Sequence:
    member = admit(life, arrive(life, 0, length=10))
    life.compute(member, 0, 6)
    return member


def test_a_half_computed_prompt_is_charged_once() -> None:
    life = lifecycle()
    arrive(life, 1, "other")
    member = half_computed(life)
    life.preempt(member)
    admit(life, member)
    assert member.tenant.counter == 10 * SCALE
    life.compute(member, 0, 10)
    assert (10, 0) == (member.paid, member.prepaid)
    assert life.recomputed == 6


def test_a_preempted_tenant_is_not_lifted_by_its_own_charge() -> None:
    life = lifecycle()
    member = half_computed(life)  # nobody else waits: it was the last to leave
    life.preempt(member)
    admit(life, member)
    assert member.tenant.counter == 10 * SCALE


def test_whoever_is_cancelled_after_a_preemption_pays_what_was_computed() -> None:
    life = lifecycle()
    arrive(life, 1, "other")
    member = half_computed(life)
    life.preempt(member)
    life.end(member, ended=False)
    assert member.tenant.counter == 6 * SCALE
    assert member.tenant.prepaid == 0


@pytest.mark.parametrize("computed", [0, 1, 9])
def test_whoever_ends_early_gets_back_what_was_not_computed(computed: int) -> None:
    life = lifecycle()
    member = admit(life, arrive(life, 0, length=10))
    if computed:
        life.compute(member, 0, computed)
    life.end(member, ended=False)
    assert computed * SCALE == member.tenant.counter
    assert member.tenant.prepaid == 0
    assert member.tenant.owed == 0


def test_the_end_of_a_waiting_request_is_no_news_for_the_backend() -> None:
    life = lifecycle()
    life.end(arrive(life, 0), ended=False)
    assert life.leaving == []
    assert life.sequences == {}


def test_the_end_of_a_member_is_told_to_the_backend() -> None:
    life = lifecycle()
    member = decode(life, admit(life, arrive(life, 0)))
    life.end(member, ended=True)
    assert life.leaving == [0]
    assert life.ledger.free == life.ledger.total
    assert len(life.batch) == 0
    assert list(life.counters.idle()) == [member.tenant]


def test_a_tenant_that_waits_or_runs_is_not_idle() -> None:
    life = lifecycle()
    first, _second = arrive(life, 0), arrive(life, 1)
    life.end(first, ended=False)
    assert list(life.counters.idle()) == []
    assert first.tenant in life.counters.backlogged


def test_after_the_last_token_the_tenant_owes_nothing() -> None:
    life = lifecycle()
    member = decode(life, admit(life, arrive(life, 0)))
    for _ in range(3):
        life.batch.advance({member.id: 8})
    assert list(life.batch.ending()) == [0]
    assert member.produced == 4
    life.end(member, ended=True)
    assert (0, 0, 4) == (
        member.tenant.owed,
        member.tenant.decoding,
        member.tenant.outputs,
    )


# --- with a prefix cache ------------------------------------------------------------


def sharing(cached_price: float = 0.0) -> Lifecycle:
    """A lifecycle that has kept two full blocks of a request of eight tokens."""
    policy = Policy(
        cost=LinearCost(cached=cached_price), prefix_cache=PrefixCache(everybody=True)
    )
    life = Lifecycle(capacity(prefix_cache=True), policy, slots=8)
    first = decode(life, admit(life, arrive(life, 0, "first", length=9)))
    life.end(first, ended=True)
    return life


def test_what_was_computed_stays_to_be_found() -> None:
    life = sharing()
    assert (62, 2) == (life.ledger.free, life.ledger.tree.cached)
    assert life.ledger.available == 64


@pytest.mark.parametrize("price", [0.0, 0.25])
def test_positions_that_were_found_cost_their_own_price(price: float) -> None:
    life = sharing(price)
    waiting = arrive(life, 1, "second", length=9)
    before = waiting.tenant.counter
    member = admit(life, waiting)
    assert (8, 8) == (member.cached, member.computed)
    assert (8, 1) == (member.paid, member.prepaid)
    assert member.tenant.counter == before + (1 + 8 * price) * SCALE
    assert life.cached_tokens == 8
    life.compute(member, 8, 1)
    assert member.tenant.prepaid == 0


def test_a_preempted_request_finds_what_it_computed_and_pays_nothing_again() -> None:
    life = sharing(cached_price=0.25)
    member = admit(life, arrive(life, 1, "second", length=13))
    life.compute(member, 8, 4)
    charged = member.tenant.counter
    life.preempt(member)
    admit(life, member)
    assert member.cached == 12
    assert charged == member.tenant.counter
    assert (12, 1) == (member.paid, member.prepaid)
    assert life.cached_tokens == 8


def test_what_others_computed_meanwhile_is_refunded_to_who_comes_back() -> None:
    """It had prepaid twelve positions and computed none of them."""
    life = sharing()
    member = admit(life, arrive(life, 1, "second", length=9, first=50))
    charged = member.tenant.counter
    life.preempt(member)
    other = decode(life, admit(life, arrive(life, 2, "other", length=9, first=50)))
    life.end(other, ended=True)
    admit(life, member)
    assert member.cached == 8
    assert charged - 8 * SCALE == member.tenant.counter
    assert (8, 1) == (member.paid, member.prepaid)


def test_the_output_of_a_request_joins_the_cache() -> None:
    life = sharing()
    member = decode(life, admit(life, arrive(life, 1, "second", length=9)))
    for _ in range(3):
        life.batch.advance({member.id: 8})
    life.end(member, ended=True)
    # 9 of the prompt and three of four outputs are computed: a third full block.
    assert life.ledger.tree.cached == 3
