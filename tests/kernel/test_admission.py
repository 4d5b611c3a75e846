import pytest

from fairq import Admission
from fairq.kernel._admission import (
    FIXED,
    Optimistic,
    Reserve,
    blocks_now,
    make_rule,
)
from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._clock import StepClock
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
    assert rule.fits(new(4, 17), 2)  # 20 positions: all five blocks
    assert not rule.fits(new(4, 18), 2)


def test_reserve_counts_members_and_the_draft() -> None:
    rule = Reserve(BlockLedger(6, 4))
    rule.enter(new(4, 5))
    rule.begin(0)
    rule.draw(new(4, 5), 2)
    assert rule.fits(new(4, 5), 2)
    rule.draw(new(4, 5), 2)
    assert not rule.fits(new(1, 1), 1)


def test_reserve_forgets_a_draft_when_the_next_begins() -> None:
    rule = Reserve(BlockLedger(2, 4))
    rule.begin(2)
    rule.draw(new(4, 5), 2)
    assert not rule.fits(new(4, 5), 2)
    rule.begin(2)
    assert rule.fits(new(4, 5), 2)


@pytest.mark.parametrize("ended", [True, False])
def test_reserve_has_room_again_when_a_member_left(ended: bool) -> None:  # noqa: FBT001  # a parameter of the test
    rule = Reserve(BlockLedger(2, 4))
    member = new(4, 5)
    rule.enter(member)
    rule.begin(0)
    assert not rule.fits(new(1, 1), 1)
    rule.leave(member, ended=ended)
    assert rule.fits(new(4, 5), 2)


def test_reserve_promises_the_same_to_whoever_has_produced() -> None:
    rule = Reserve(BlockLedger(5, 4))
    member = new(4, 17)
    rule.enter(member)
    member.outputs.extend(range(9))
    rule.leave(member, ended=False)
    assert rule._promised == 0


# --- optimistic ---------------------------------------------------------------------


def test_optimistic_needs_the_blocks_now() -> None:
    rule, _ = optimistic()
    rule.begin(1)
    assert rule.fits(new(2, 2), 1)
    assert not rule.fits(new(4, 5), 2)


def test_optimistic_lets_one_request_in_whatever_the_forecast() -> None:
    rule, _ = optimistic(10)
    rule.begin(10)
    assert rule.fits(new(4, 37), 2)


def test_optimistic_keeps_room_for_all_that_is_granted_before_it_has_seen_any() -> None:
    rule, batch = optimistic(10)
    join(rule, batch, new(4, 17))
    rule.begin(8)
    assert rule.fits(new(4, 7), 2)  # 17 + 7 tokens to come: the six blocks left
    assert not rule.fits(new(4, 8), 2)


def test_optimistic_expects_outputs_as_long_as_the_finished_ones() -> None:
    rule, batch = optimistic(10)
    short = join(rule, batch, new(4, 1000))
    short.outputs.extend(range(4))
    rule.leave(short, ended=True)
    join(rule, batch, new(4, 1000, number=1))
    rule.begin(8)
    assert rule.fits(new(4, 1000), 2)


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
    rule.draw(new(4, 17), 2)
    assert rule.fits(new(4, 7), 2)
    assert not rule.fits(new(4, 8), 2)
    rule.begin(10)
    assert rule.fits(new(4, 37), 2)


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
    assert rule.fits(new(4, 13), 2)
