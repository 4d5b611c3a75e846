import pytest

from fairq import RequestId
from fairq.kernel._batch import Batch
from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from tests.kernel.parts import decoding, sequence, tenant


def batch(slots: int = 4, block_size: int = 4) -> tuple[Batch, StepClock]:
    clock = StepClock()
    return Batch(slots, block_size, clock), clock


def advance(made: Batch) -> dict[RequestId, int]:
    """One step: tokens that tell request and step apart."""
    tick = made._clock.tick
    tokens = {id_: 100 * (id_ + 1) + tick for id_ in made.decodes}
    made.advance(tokens)
    return tokens


def walk(made: Batch, steps: int) -> None:
    """Steps as a planner makes them: it asks who is due, which collects."""
    for _ in range(steps):
        made.due()
        advance(made)


# --- slots --------------------------------------------------------------------------


def test_the_lowest_free_slot_is_taken_first() -> None:
    made, _ = batch()
    assert [0, 1, 2] == [made.take_slot() for _ in range(3)]
    made.give_back_slot(1)
    made.give_back_slot(0)
    assert made.take_slot() == 0
    assert made.free_slots == 2


def test_a_slot_is_free_again_when_its_member_left() -> None:
    made, clock = batch(slots=1)
    member = decoding(made, sequence(0, tenant(clock=clock)))
    assert made.free_slots == 0
    made.leave(member, Phase.OVER)
    assert made.free_slots == 1
    assert member.slot == -1


# --- who is due when ----------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, 2, 16])
@pytest.mark.parametrize("residue", range(16))
@pytest.mark.parametrize("joined", [0, 1, 5])
def test_a_member_is_due_when_its_next_position_begins_a_block_it_lacks(
    block_size: int, residue: int, joined: int
) -> None:
    made, clock = batch(block_size=block_size)
    walk(made, joined)
    owner = tenant(clock=clock)
    length = 16 + residue
    member = decoding(made, sequence(0, owner, length, max_tokens=1000))
    for step in range(40):
        begins_a_block = (length + step) % block_size == 0
        # It was admitted with the block for its first token.
        assert (begins_a_block and step > 0) == (member in made.due())
        walk(made, 1)


def test_each_member_is_due_once_in_block_size_steps() -> None:
    made, clock = batch(slots=16, block_size=4)
    owner = tenant(clock=clock)
    for number in range(16):
        decoding(made, sequence(number, owner, 1 + number, max_tokens=1000))
    walk(made, 1)
    visits = 0
    for _ in range(8):
        visits += len(made.due())
        walk(made, 1)
    assert visits == 16 * 8 // 4


@pytest.mark.parametrize("max_tokens", [1, 2, 5, 33])
def test_a_member_ends_at_the_step_of_its_last_token(max_tokens: int) -> None:
    made, clock = batch()
    member = decoding(made, sequence(0, tenant(clock=clock), 4, max_tokens))
    for _ in range(max_tokens - 1):
        assert made.ending() == {}
        walk(made, 1)
    assert {member.id: member} == made.ending()


def test_an_ending_is_told_once() -> None:
    made, clock = batch()
    decoding(made, sequence(0, tenant(clock=clock), 4, 1))
    assert made.ending()
    assert made.ending() == {}


def test_whoever_left_is_neither_due_nor_ending() -> None:
    made, clock = batch(block_size=1)
    member = decoding(made, sequence(0, tenant(clock=clock), 4, 2))
    made.leave(member, Phase.OVER)
    assert made.due() == []
    advance(made)
    assert made.ending() == {}
    assert made.calendar_entries == 0


def test_a_calendar_entry_is_made_for_block_and_end() -> None:
    made, clock = batch()
    member = decoding(made, sequence(0, tenant(clock=clock)))
    assert made.calendar_entries == 2
    assert made.knows(member)


# --- tokens -------------------------------------------------------------------------


@pytest.mark.parametrize("block_size", [1, 2, 16])
@pytest.mark.parametrize("steps", [0, 1, 2, 15, 16, 17, 50])
@pytest.mark.parametrize("joined", [0, 3, 20])
def test_collect_returns_exactly_the_tokens_of_a_member(
    block_size: int, steps: int, joined: int
) -> None:
    made, clock = batch(block_size=block_size)
    owner = tenant(clock=clock)
    decoding(made, sequence(0, owner, 3, max_tokens=1000))
    walk(made, joined)
    member = decoding(made, sequence(1, owner, 5, max_tokens=1000), token=7)
    walk(made, steps)
    made.collect(member)
    expected = [7] + [200 + tick for tick in range(joined, joined + steps)]
    assert expected == member.outputs.tolist()
    made.collect(member)
    assert expected == member.outputs.tolist()


def test_leaving_collects_what_was_not_collected_yet() -> None:
    made, clock = batch()
    member = decoding(made, sequence(0, tenant(clock=clock), 4, 1000), token=9)
    walk(made, 3)
    made.leave(member, Phase.WAITING)
    assert member.outputs.tolist() == [9, 100, 101, 102]
    assert member.computed == 4 + 3


def test_the_log_keeps_only_what_a_bucket_can_still_miss() -> None:
    made, clock = batch(block_size=4)
    decoding(made, sequence(0, tenant(clock=clock), 4, 1000))
    walk(made, 50)
    assert len(made._log) == 4


# --- sums ---------------------------------------------------------------------------


def total(members: list[Sequence]) -> int:
    return sum(member.produced for member in members)


def test_produced_is_the_sum_over_members_through_all_changes() -> None:
    made, clock = batch(slots=4)
    owner = tenant(clock=clock)
    first = decoding(made, sequence(0, owner, 4, 1000))
    walk(made, 5)
    second = decoding(made, sequence(1, owner, 3, 1000))
    assert total([first, second]) == made.produced == 7
    walk(made, 2)
    assert total([first, second]) == made.produced == 11
    made.leave(first, Phase.WAITING)
    assert total([second]) == made.produced == 3
    made.enter(first, made.take_slot())
    assert total([first, second]) == made.produced == 11


def test_members_that_prefill_are_not_in_decodes() -> None:
    made, clock = batch()
    new = sequence(0, tenant(clock=clock))
    made.enter(new, made.take_slot())
    assert list(made.prefilling) == [new.id]
    assert len(made.decodes) == 0
    assert len(made) == 1
    made.begin_decoding(new, 1)
    assert made.prefilling == {}
    assert list(made.decodes) == [new.id]
    assert len(made) == 1


def test_decodes_are_in_the_order_of_joining() -> None:
    made, clock = batch()
    owner = tenant(clock=clock)
    for number in (2, 0, 1):
        decoding(made, sequence(number, owner))
    assert list(made.decodes) == [2, 0, 1]
    assert dict(made.decode_ids()) == {2: 0, 0: 1, 1: 2}
