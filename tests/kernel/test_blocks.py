import pytest

from fairq import BlockId
from fairq.kernel._blocks import BlockLedger


def ids(*numbers: int) -> list[BlockId]:
    return [BlockId(number) for number in numbers]


def test_a_fresh_ledger_hands_out_the_lowest_blocks_in_order() -> None:
    ledger = BlockLedger(8, 4)
    assert ids(0, 1, 2) == ledger.take(3)
    assert ids(3) == ledger.take(1)
    assert ledger.free == 4


def test_taking_nothing_changes_nothing() -> None:
    ledger = BlockLedger(4, 4)
    before = ledger.free_blocks()
    assert ledger.take(0) == []
    assert before == ledger.free_blocks()


def test_all_blocks_can_be_taken() -> None:
    ledger = BlockLedger(3, 4)
    assert ids(0, 1, 2) == ledger.take(3)
    assert ledger.free == 0


def test_giving_back_what_was_taken_last_restores_the_order() -> None:
    ledger = BlockLedger(8, 4)
    ledger.take(2)
    before = ledger.free_blocks()
    ledger.give_back(ledger.take(4))
    assert before == ledger.free_blocks()


def test_several_takes_given_back_together_restore_the_order() -> None:
    ledger = BlockLedger(8, 4)
    before = ledger.free_blocks()
    taken = ledger.take(2) + ledger.take(1) + ledger.take(3)
    ledger.give_back(taken)
    assert before == ledger.free_blocks()


def test_blocks_given_back_are_reused_first() -> None:
    ledger = BlockLedger(8, 4)
    first = ledger.take(2)
    ledger.take(2)
    ledger.give_back(first)
    assert first == ledger.take(2)


def test_withdrawing_takes_exactly_these_blocks_and_keeps_the_order() -> None:
    ledger = BlockLedger(6, 4)
    ledger.withdraw(ids(1, 4))
    assert ids(0, 2, 3, 5) == ledger.take(4)


def test_withdrawing_nothing_changes_nothing() -> None:
    ledger = BlockLedger(4, 4)
    before = ledger.free_blocks()
    ledger.withdraw([])
    assert before == ledger.free_blocks()


@pytest.mark.parametrize(
    ("tokens", "size", "blocks"),
    [(0, 4, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2), (7, 1, 7), (33, 16, 3)],
)
def test_positions_need_a_block_for_every_part(
    tokens: int, size: int, blocks: int
) -> None:
    assert blocks == BlockLedger(8, size).blocks_for(tokens)
