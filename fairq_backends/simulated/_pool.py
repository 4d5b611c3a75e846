"""The blocks of the pool: in how many tables each is, and who filled it.

A block may be in several tables, but only one sequence ever wrote to it, at one place
of its own table. That sequence is remembered, after it left too, until the block is
given to somebody else; so whether a block holds certain tokens is asked of the one who
computed them, and nothing is noted per position.
"""

from collections.abc import Sequence as Some
from itertools import groupby

import attrs

from fairq import BlockId, Enter
from fairq_backends.simulated._sequence import Sequence


@attrs.define(eq=False)
class Pool:
    """Which blocks are taken, and what they hold."""

    block_size: int
    remembers: bool
    """Whether blocks can be shared, and their fillers are kept."""
    used: set[BlockId] = attrs.field(factory=set)
    """Blocks in a table. Only asked for members, never iterated."""
    more: dict[BlockId, int] = attrs.field(factory=dict)
    """Tables a block is in beyond the first; blocks of one table are not here."""
    fillers: dict[BlockId, Sequence] = attrs.field(factory=dict)
    """Who computed a block last, or is about to."""

    def enter(self, sequence: Sequence, shared: int) -> None:
        """Take the table of one who enters; its first blocks hold something already."""
        blocks = sequence.blocks
        for block in self.used.intersection(blocks[:shared]):
            self.more[block] = self.more.get(block, 0) + 1
        self.used.update(blocks)
        if self.remembers:
            self.fillers.update(dict.fromkeys(blocks[shared:], sequence))

    def grow(self, sequence: Sequence, block: BlockId) -> None:
        """Take one block more for somebody."""
        self.used.add(block)
        if self.remembers:
            self.fillers[block] = sequence

    def leave(self, blocks: list[BlockId]) -> None:
        """Give a table back; its blocks keep what they hold."""
        self.used.difference_update(blocks)
        for block in self.shared(blocks):
            self.used.add(block)
            self.more[block] -= 1
            if not self.more[block]:
                del self.more[block]

    def shared(self, blocks: list[BlockId]) -> set[BlockId]:
        """Those that are in several tables."""
        return self.more.keys() & blocks if self.more else set()

    def problem(self, enter: Enter, tick: int, *, exact: bool) -> str | None:
        """Why the cached tokens of one who enters are not in its blocks; or None.

        Costs a few C calls per sequence that filled them; ``exact`` compares the tokens
        too, O(cached) for each.
        """
        table = enter.blocks[: enter.cached // self.block_size]
        at = 0
        for filler, run in groupby(map(self.fillers.get, table)):
            end = at + len(list(run))
            if filler is None:
                return f"block {table[at]} holds nothing"
            problem = self._wrong(filler, table, at, end, tick)
            if problem is None and exact and not self._same(filler, enter, end):
                problem = f"blocks {_short(table[at:end])} hold other tokens"
            if problem is not None:
                return problem
            at = end
        return None

    def _wrong(
        self, filler: Sequence, table: Some[BlockId], at: int, end: int, tick: int
    ) -> str | None:
        if filler.blocks[at:end] != list(table[at:end]):
            return f"blocks {_short(table[at:end])} hold other positions"
        if filler.context(tick) < end * self.block_size:
            return f"block {table[end - 1]} is not computed to its end"
        return None

    def _same(self, filler: Sequence, enter: Enter, end: int) -> bool:
        tokens = end * self.block_size
        return filler.text(tokens) == enter.tokens[:tokens].raw


def _short(blocks: Some[BlockId]) -> str:
    named = ", ".join(map(str, blocks[:5]))
    return f"{named}, ..." if len(blocks) > 5 else named  # noqa: PLR2004  # as cut above
