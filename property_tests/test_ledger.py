"""The ledger of blocks: a block is free, or somebody's, and never both or neither."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fairq import BlockId
from fairq.kernel._blocks import BlockLedger


class LedgerMachine(RuleBasedStateMachine):
    """Tables that take and give back, beside a set of what is free."""

    ledger: BlockLedger

    @initialize(total=st.integers(1, 30))
    def start(self, total: int) -> None:
        self.ledger = BlockLedger(total, 4)
        self.free = {*range(total)}
        self.tables: list[list[BlockId]] = []

    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(0, len(self.free)))
        taken = self.ledger.take(count)
        assert count == len(taken) == len({*taken})
        assert {*taken} <= self.free
        self.free -= {*taken}
        self.tables.append(taken)

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        table = self.tables.pop(data.draw(st.integers(0, len(self.tables) - 1)))
        self.ledger.give_back(table)
        self.free |= {*table}

    @precondition(lambda self: self.tables)
    @rule(data=st.data())
    def hand_on(self, data: st.DataObject) -> None:
        """A victim's blocks are freed, and some of them are somebody's at once."""
        table = self.tables.pop(data.draw(st.integers(0, len(self.tables) - 1)))
        self.ledger.give_back(table)
        kept = self.ledger.take(data.draw(st.integers(0, len(table))))
        assert table[: len(kept)] == kept
        self.tables.append(kept)
        self.free |= {*table} - {*kept}

    @rule(data=st.data())
    def take_and_regret(self, data: st.DataObject) -> None:
        """What an abandoned plan took comes back in the order in which it was."""
        before = self.ledger.free_blocks()
        counts = data.draw(st.lists(st.integers(0, 4), max_size=4))
        taken: list[BlockId] = []
        for count in counts:
            taken += self.ledger.take(min(count, self.ledger.free))
        self.ledger.give_back(taken)
        assert before == self.ledger.free_blocks()

    @invariant()
    def what_is_free_is_free_once(self) -> None:
        if hasattr(self, "ledger"):
            blocks = self.ledger.free_blocks()
            assert sorted(self.free) == sorted(blocks)
            assert len(self.free) == self.ledger.free


LedgerMachine.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 2), stateful_step_count=30
)
TestLedger = LedgerMachine.TestCase


@given(total=st.integers(1, 100), counts=st.lists(st.integers(0, 5)))
def test_a_fresh_pool_hands_out_the_lowest_blocks_first(
    total: int, counts: list[int]
) -> None:
    ledger = BlockLedger(total, 1)
    taken: list[int] = []

    for count in counts:
        taken += ledger.take(min(count, ledger.free))

    assert list(range(len(taken))) == taken


@given(tokens=st.integers(0, 10**9), size=st.integers(1, 1000))
def test_blocks_are_enough_and_one_less_is_not(tokens: int, size: int) -> None:
    blocks = BlockLedger(1, size).blocks_for(tokens)

    assert blocks * size >= tokens
    assert (blocks - 1) * size < tokens
