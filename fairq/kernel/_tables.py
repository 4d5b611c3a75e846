"""Block tables: what a sequence shares when it enters, and leaves to others after it.

A table begins with the path of one node of the prefix tree, its *leaf*, which the table
locks; the rest are blocks of its own. Without a prefix cache there is no leaf, and all
blocks are its own.

Only full blocks that are computed are ever shared, and nobody writes to them again. So
a text that is in the cache entirely has its last block computed anew.
"""

from typing import Final

import attrs

from fairq.kernel._blocks import BlockLedger
from fairq.kernel._node import Hit, Node
from fairq.kernel._prefixes import TOKEN_BYTES
from fairq.kernel._sequence import Sequence
from fairq.plan import BlockId
from fairq.prefix_cache import PrefixCache

NOTHING: Final = Hit(Node(None), 0)
"""What is found without a cache."""


@attrs.define(eq=False)
class Grant:
    """A table for a sequence that is to enter."""

    blocks: list[BlockId]
    fresh: list[BlockId]
    """Those of them that were taken from the pool."""
    own: int
    """Blocks that it may ever use and that are not in the prefix tree."""
    cached: int = 0
    """Leading blocks that are computed already."""
    hit: Node | None = None
    """The node at their end, if there are any."""
    leaf: Node | None = None
    """The node at the end of all that it has in the tree."""


class Tables:
    """The tables of all sequences.

    Args:
        ledger: Where blocks come from.
        cache: Who shares; None for nobody.
    """

    __slots__ = ("_cache", "_ledger")

    def __init__(self, ledger: BlockLedger, cache: PrefixCache | None) -> None:
        self._ledger = ledger
        self._cache = cache

    @property
    def block_size(self) -> int:
        """Tokens per block."""
        return self._ledger.size

    # --- before it enters -----------------------------------------------------------

    def find(self, sequence: Sequence) -> Hit:
        """How much of a waiting sequence is in the cache; its last token never is.

        Costs O(edges on the way), from where the last search ended.
        """
        cache, hit = self._cache, sequence.found
        if cache is None:
            return NOTHING
        if hit is None or not hit.holds:
            hit = sequence.found = self._search(sequence, cache, hit)
        return hit

    def _search(self, sequence: Sequence, cache: PrefixCache, last: Hit | None) -> Hit:
        """Search from the last place on the way that is still there."""
        tree, request = self._ledger.tree, sequence.request
        start = None if last is None else last.on_the_way()
        if start is None:
            start = tree.root(cache.namespace(request.tenant, request.adapter))
        most = (sequence.known - 1) // self._ledger.size
        return tree.find(start, sequence.tokens().raw, most)

    def needs(self, blocks: int, hit: Hit) -> int:
        """What a table of so many blocks takes from what is available."""
        if not hit.depth:
            return blocks
        return blocks - hit.depth + self._ledger.tree.unlocked(hit)

    def grant(self, sequence: Sequence, hit: Hit, blocks: int) -> Grant:
        """Make a table of so many blocks; the hit must have been found just now.

        The hit is held before anything is taken, so it is not evicted for the rest.
        """
        if self._cache is None:
            fresh = self._ledger.take(blocks)
            return Grant(fresh, fresh, self._ledger.blocks_for(sequence.worst))
        tree = self._ledger.tree
        depth, size = hit.depth, self._ledger.size
        node = tree.lock(hit)
        fresh = self._ledger.take(blocks - depth)
        full, width = sequence.known // size, TOKEN_BYTES * size
        raw = sequence.tokens().raw[width * depth : width * full]
        leaf = tree.announce(node, raw, fresh[: full - depth], sequence.id)
        own = self._ledger.blocks_for(sequence.worst) - leaf.end
        if not depth:
            return Grant(fresh, fresh, own, leaf=leaf)
        node.sharers[sequence.id] = None
        return Grant([*path(node), *fresh], fresh, own, depth, node, leaf)

    def revoke(self, sequence: Sequence, grant: Grant) -> None:
        """Undo ``grant``: it never entered. What was evicted for it stays so."""
        self._ledger.give_back(grant.fresh)
        leaf, tree = grant.leaf, self._ledger.tree
        if leaf is None:
            return
        if leaf.ready < len(leaf.blocks):
            leaf, _ = tree.withdraw(leaf)
        if grant.hit is not None:
            del grant.hit.sharers[sequence.id]
        tree.unlock(leaf)

    # --- in the batch ---------------------------------------------------------------

    def enter(self, sequence: Sequence, grant: Grant) -> None:
        """It has entered with this table."""
        sequence.blocks = grant.blocks
        sequence.hit, sequence.leaf = grant.hit, grant.leaf
        sequence.found = None

    def computed(self, sequence: Sequence) -> None:
        """More of its known tokens are computed: others may use them."""
        leaf = sequence.leaf
        if leaf is not None and leaf.ready < len(leaf.blocks):
            ready = sequence.computed // self._ledger.size - leaf.start
            self._ledger.tree.complete(leaf, min(len(leaf.blocks), ready))

    def release(self, sequence: Sequence, computed: int) -> None:
        """It leaves: its full blocks stay to be found, the others are free.

        Args:
            sequence: With all its outputs collected.
            computed: Positions with KV.
        """
        blocks, leaf = sequence.blocks, sequence.leaf
        sequence.blocks = []
        if leaf is None:
            self._ledger.give_back(blocks)
            return
        tree = self._ledger.tree
        if sequence.hit is not None:
            del sequence.hit.sharers[sequence.id]
        if leaf.ready < len(leaf.blocks):
            leaf, _ = tree.withdraw(leaf)
        full, known = computed // self._ledger.size, leaf.end
        unneeded = blocks[max(full, known) :]
        if full > known:
            text = sequence.tokens().raw
            unneeded = tree.insert(leaf, text, blocks[known:full]) + unneeded
        self._ledger.give_back(unneeded)
        tree.unlock(leaf)
        sequence.hit = sequence.leaf = None


def path(leaf: Node) -> list[BlockId]:
    """The blocks from the root to the end of a node."""
    edges = []
    node: Node | None = leaf
    while node is not None:
        edges.append(node.blocks)
        node = node.parent
    return [block for edge in reversed(edges) for block in edge]
