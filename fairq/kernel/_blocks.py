"""The KV ledger: which blocks are free. Block ids only, no memory."""

from collections.abc import Iterable

from fairq.plan import BlockId


class BlockLedger:
    """The free blocks of the pool, lowest ids first when it is fresh.

    A block is here, in the table of one sequence, or held by the outstanding draft.
    """

    __slots__ = ("_free", "size", "total")

    def __init__(self, total: int, size: int) -> None:
        self.total = total
        self.size = size
        self._free = [BlockId(block) for block in range(total - 1, -1, -1)]

    @property
    def free(self) -> int:
        """Blocks that can be taken now."""
        return len(self._free)

    def blocks_for(self, tokens: int) -> int:
        """Blocks that so many positions need."""
        return -(-tokens // self.size)

    def take(self, count: int) -> list[BlockId]:
        """Take ``count`` blocks, 0 <= count <= free."""
        if not count:
            return []
        taken = self._free[-count:]
        del self._free[-count:]
        taken.reverse()
        return taken

    def give_back(self, blocks: Iterable[BlockId]) -> None:
        """Return blocks; giving back what was taken last restores the order."""
        self._free.extend(reversed(tuple(blocks)))

    def withdraw(self, blocks: Iterable[BlockId]) -> None:
        """Take these very blocks. O(free); only preemptions need it."""
        gone = set(blocks)
        self._free = [block for block in self._free if block not in gone]

    def free_blocks(self) -> tuple[BlockId, ...]:
        """The free blocks, next one last; for checks."""
        return tuple(self._free)
