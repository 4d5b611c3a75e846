import pytest

from fairq import BlockId, TokenIds
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


def cached(ledger: BlockLedger, count: int, first: int = 0) -> list[BlockId]:
    """So many blocks in the cache, held by nobody."""
    tree, raw = ledger.tree, TokenIds(range(first, first + 4 * count)).raw
    blocks = ledger.take(count)
    leaf = tree.lock(tree.find(tree.root("a"), raw, count))
    assert tree.insert(leaf, raw, blocks) == []
    tree.unlock(leaf)
    return blocks


def test_cached_blocks_are_available_and_not_free() -> None:
    ledger = BlockLedger(8, 4)
    cached(ledger, 3)
    assert (5, 8) == (ledger.free, ledger.available)


def test_free_blocks_are_taken_before_the_cache() -> None:
    ledger = BlockLedger(4, 4)
    cached(ledger, 2)
    assert ids(2, 3) == ledger.take(2)
    assert (0, 2) == (ledger.free, ledger.tree.cached)


def test_what_free_blocks_do_not_cover_is_evicted() -> None:
    ledger = BlockLedger(4, 4)
    cached(ledger, 3)
    assert ids(3, 2) == ledger.take(2)
    assert (0, 2) == (ledger.free, ledger.available)


def test_all_of_the_cache_can_be_taken() -> None:
    ledger = BlockLedger(3, 4)
    blocks = cached(ledger, 3)
    assert sorted(blocks) == sorted(ledger.take(3))
    assert (0, 0) == (ledger.free, ledger.available)


@pytest.mark.parametrize(
    ("tokens", "size", "blocks"),
    [(0, 4, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2), (7, 1, 7), (33, 16, 3)],
)
def test_positions_need_a_block_for_every_part(
    tokens: int, size: int, blocks: int
) -> None:
    assert blocks == BlockLedger(8, size).blocks_for(tokens)
