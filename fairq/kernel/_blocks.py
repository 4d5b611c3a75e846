"""The KV ledger: where every block is. Block ids only, no memory."""

from collections.abc import Iterable

from fairq.kernel._prefixes import PrefixTree
from fairq.plan import BlockId


class BlockLedger:
    """The free blocks of the pool, lowest ids first when it is fresh, and the cache.

    A block is free, or in the prefix tree (held there by tables and pins, or cached),
    or in the table of exactly one sequence, or held by the outstanding draft.
    """

    __slots__ = ("_free", "kept", "size", "total", "tree")

    def __init__(self, total: int, size: int) -> None:
        self.total = total
        self.size = size
        self.tree = PrefixTree(size)
        self.kept = 0
        """Blocks that may still be pinned, so that nobody may be promised them."""
        self._free = [BlockId(block) for block in range(total - 1, -1, -1)]

    @property
    def free(self) -> int:
        """Blocks with nothing in them."""
        return len(self._free)

    @property
    def available(self) -> int:
        """Blocks that can be taken now: free ones, and the cache."""
        return len(self._free) + self.tree.cached

    def blocks_for(self, tokens: int) -> int:
        """Blocks that so many positions need."""
        return -(-tokens // self.size)

    def take(self, count: int) -> list[BlockId]:
        """Take blocks, 0 <= count <= available: free ones before the cache."""
        if not count:
            return []
        missing = count - len(self._free)
        evicted = self.tree.evict(missing) if missing > 0 else []
        free = count - len(evicted)
        if not free:
            return evicted
        taken = self._free[-free:]
        del self._free[-free:]
        taken.reverse()
        return taken + evicted

    def give_back(self, blocks: Iterable[BlockId]) -> None:
        """Return blocks; giving back what was taken last restores the order."""
        self._free.extend(reversed(tuple(blocks)))

    def free_blocks(self) -> tuple[BlockId, ...]:
        """The free blocks, next one last; for checks."""
        return tuple(self._free)
