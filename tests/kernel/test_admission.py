import pytest

from fairq import Admission, TokenIds
from fairq.kernel._admission import (
    FIXED,
    Optimistic,
    Reserve,
    Rule,
    blocks_now,
    make_rule,
)
from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._clock import StepClock
from fairq.kernel._node import Hit
from fairq.kernel._sequence import Sequence
from tests.kernel.parts import sequence, tenant

OWNER = tenant()


def new(length: int = 4, max_tokens: int = 5, number: int = 0) -> Sequence:
    return sequence(number, OWNER, length, max_tokens)


def optimistic(blocks: int = 10) -> tuple[Optimistic, Batch]:
    ledger = BlockLedger(blocks, 4)
    batch = Batch(64, 4, StepClock())
    return Optimistic(ledger, batch), batch


def join(rule: Optimistic, batch: Batch, member: Sequence) -> Sequence:
    rule.enter(member)
    batch.enter(member, batch.take_slot())
    return member


def draw(rule: Rule, waiting: Sequence, own: int = 2) -> None:
    """As the planner does: two blocks now, and so many of its own ever."""
    rule.draw(waiting, 2, own)


def promised(rule: Rule, member: Sequence, own: int = 2) -> Sequence:
    """A member that may ever use so many blocks of its own."""
    member.promised = own
    rule.enter(member)
    return member


# --- blocks now ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "max_tokens", "blocks"),
    [(3, 5, 1), (4, 5, 2), (4, 1, 1), (4, 2, 2), (5, 1, 2), (8, 9, 3)],
)
def test_blocks_now_cover_the_prompt_and_the_first_position_after_it(
    length: int, max_tokens: int, blocks: int
) -> None:
    assert blocks == blocks_now(new(length, max_tokens), BlockLedger(8, 4))


def test_whoever_was_preempted_gets_blocks_for_its_outputs_too() -> None:
    back = new(4, 20)
    back.outputs.extend(range(4))
    assert blocks_now(back, BlockLedger(8, 4)) == 3


# --- reserve ------------------------------------------------------------------------


def test_reserve_promises_all_that_may_be_needed() -> None:
    rule = Reserve(BlockLedger(5, 4))
    rule.begin(5)
    assert rule.fits(new(4, 17), 2, 0)  # 20 positions: all five blocks
    assert not rule.fits(new(4, 18), 2, 0)


def test_reserve_counts_members_and_the_draft() -> None:
    rule = Reserve(BlockLedger(6, 4))
    promised(rule, new(4, 5))
    rule.begin(0)
    draw(rule, new(4, 5))
    assert rule.fits(new(4, 5), 2, 0)
    draw(rule, new(4, 5))
    assert not rule.fits(new(1, 1), 1, 0)


def test_reserve_forgets_a_draft_when_the_next_begins() -> None:
    rule = Reserve(BlockLedger(2, 4))
    rule.begin(2)
    draw(rule, new(4, 5))
    assert not rule.fits(new(4, 5), 2, 0)
    rule.begin(2)
    assert rule.fits(new(4, 5), 2, 0)


@pytest.mark.parametrize("ended", [True, False])
def test_reserve_has_room_again_when_a_member_left(ended: bool) -> None:  # noqa: FBT001  # a parameter of the test
    rule = Reserve(BlockLedger(2, 4))
    member = promised(rule, new(4, 5))
    rule.begin(0)
    assert not rule.fits(new(1, 1), 1, 0)
    rule.leave(member, ended=ended)
    assert rule.fits(new(4, 5), 2, 0)


def test_reserve_promises_the_same_to_whoever_has_produced() -> None:
    rule = Reserve(BlockLedger(5, 4))
    member = promised(rule, new(4, 17), own=5)
    assert rule._promised == 5
    member.outputs.extend(range(9))
    rule.leave(member, ended=False)
    assert rule._promised == 0


def cached_blocks(ledger: BlockLedger, count: int, *, held: bool) -> Hit:
    """So many blocks of the prefix tree, held by somebody or by nobody."""
    raw = TokenIds(range(4 * count)).raw
    leaf = ledger.tree.lock(ledger.tree.find(ledger.tree.root("a"), raw, count))
    ledger.tree.insert(leaf, raw, ledger.take(count))
    ledger.tree.unlock(leaf)
    hit = ledger.tree.find(ledger.tree.root("a"), raw, count)
    if held:
        ledger.tree.lock(hit)
    return hit


@pytest.mark.parametrize("held", [True, False])
def test_reserve_counts_blocks_that_others_have_computed_once(*, held: bool) -> None:
    """Of seven blocks two are shared: there is room for five of its own, not six."""
    ledger = BlockLedger(7, 4)
    hit = cached_blocks(ledger, 2, held=held)
    rule = Reserve(ledger)
    rule.begin(ledger.available)
    blocks = 3 - 2 + ledger.tree.unlocked(hit)

    assert rule.fits(new(9, 20), blocks, 2)
    assert not rule.fits(new(9, 21), blocks, 2)


def test_reserve_leaves_out_blocks_of_the_cache_that_nobody_holds() -> None:
    ledger = BlockLedger(5, 4)
    cached_blocks(ledger, 2, held=False)
    rule = Reserve(ledger)
    rule.begin(ledger.available)
    assert rule.fits(new(4, 17), 2, 0)


def test_reserve_leaves_room_for_what_is_held_in_the_cache() -> None:
    ledger = BlockLedger(5, 4)
    cached_blocks(ledger, 2, held=True)
    rule = Reserve(ledger)
    rule.begin(ledger.available)
    assert rule.fits(new(4, 9), 2, 0)
    assert not rule.fits(new(4, 10), 2, 0)


# --- optimistic ---------------------------------------------------------------------


def test_optimistic_needs_the_blocks_now() -> None:
    rule, _ = optimistic()
    rule.begin(1)
    assert rule.fits(new(2, 2), 1, 0)
    assert not rule.fits(new(4, 5), 2, 0)


def test_optimistic_lets_one_request_in_whatever_the_forecast() -> None:
    rule, _ = optimistic(10)
    rule.begin(10)
    assert rule.fits(new(4, 37), 2, 0)


def test_optimistic_keeps_room_for_all_that_is_granted_before_it_has_seen_any() -> None:
    rule, batch = optimistic(10)
    join(rule, batch, new(4, 17))
    rule.begin(8)
    assert rule.fits(new(4, 7), 2, 0)  # 17 + 7 tokens to come: the six blocks left
    assert not rule.fits(new(4, 8), 2, 0)


def test_optimistic_expects_outputs_as_long_as_the_finished_ones() -> None:
    rule, batch = optimistic(10)
    short = join(rule, batch, new(4, 1000))
    short.outputs.extend(range(4))
    rule.leave(short, ended=True)
    join(rule, batch, new(4, 1000, number=1))
    rule.begin(8)
    assert rule.fits(new(4, 1000), 2, 0)


def test_optimistic_never_expects_more_than_was_granted() -> None:
    rule, _ = optimistic(10)
    rule._mean = 1000 * FIXED
    assert rule._growth(members=2, produced=5, granted=30) == 25


def test_optimistic_expects_nothing_less_than_nothing() -> None:
    rule, _ = optimistic(10)
    rule._mean = 3 * FIXED
    assert rule._growth(members=2, produced=50, granted=300) == 0


def test_optimistic_counts_what_the_draft_has_taken() -> None:
    rule, _ = optimistic(10)
    rule.begin(10)
    draw(rule, new(4, 17))
    assert rule.fits(new(4, 7), 2, 0)
    assert not rule.fits(new(4, 8), 2, 0)
    rule.begin(10)
    assert rule.fits(new(4, 37), 2, 0)


def test_optimistic_learns_only_from_requests_that_ended_by_themselves() -> None:
    rule, batch = optimistic()
    member = join(rule, batch, new())
    rule.leave(member, ended=False)
    assert rule._mean is None
    assert rule._margin == FIXED
    assert rule._granted == 0


def test_the_forecast_approaches_what_is_observed() -> None:
    rule, _ = optimistic()
    for _ in range(100):
        member = new(4, 50)
        rule.enter(member)
        member.outputs.extend(range(20))
        rule.leave(member, ended=True)
    assert rule._mean == 20 * FIXED
    for _ in range(100):
        member = new(4, 50)
        rule.enter(member)
        member.outputs.extend(range(40))
        rule.leave(member, ended=True)
    assert rule._mean is not None
    assert abs(rule._mean / FIXED - 40) < 1


def test_the_margin_shrinks_with_every_end_and_grows_with_every_preemption() -> None:
    rule, _ = optimistic()
    margins = []
    for _ in range(64):
        member = new()
        rule.enter(member)
        rule.leave(member, ended=True)
        margins.append(rule._margin)
    assert sorted(margins, reverse=True) == margins
    assert 0 < rule._margin < FIXED // 2
    before = rule._margin
    rule.preempted()
    assert before < rule._margin < FIXED


def test_a_margin_never_exceeds_the_whole_forecast() -> None:
    rule, _ = optimistic()
    for _ in range(100):
        rule.preempted()
    assert rule._margin <= FIXED


def test_a_policy_names_its_rule() -> None:
    ledger, batch = BlockLedger(4, 4), Batch(4, 4, StepClock())
    assert isinstance(make_rule(Admission.RESERVE, ledger, batch), Reserve)
    assert isinstance(make_rule(Admission.OPTIMISTIC, ledger, batch), Optimistic)


def test_reserve_is_indifferent_to_preemptions() -> None:
    rule = Reserve(BlockLedger(4, 4))
    rule.preempted()
    rule.begin(4)
    assert rule.fits(new(4, 13), 2, 0)
