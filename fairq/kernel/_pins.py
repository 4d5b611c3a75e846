"""Prefixes that are kept in the cache whatever happens: pins."""

import attrs

from fairq.errors import UsageError
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._node import Hit, Node
from fairq.prefix_cache import PrefixCache
from fairq.tokens import TokenIds


@attrs.define(eq=False)
class Pins:
    """Pinned prefixes, by namespace and tokens; each locks a node of the tree.

    At most ``PrefixCache.max_pinned_blocks`` are pinned; that many blocks are left out
    of what a single request may need, so a pool full of pins still serves everybody.
    """

    ledger: BlockLedger
    cache: PrefixCache | None
    _nodes: dict[tuple[object, TokenIds], Node] = attrs.field(factory=dict)
    pinned: int = 0
    """Blocks, counted for each pin by itself."""

    def __attrs_post_init__(self) -> None:
        self.ledger.kept = self.most

    @property
    def most(self) -> int:
        """Blocks that may be pinned."""
        return 0 if self.cache is None else self.cache.max_pinned_blocks

    def pin(self, tenant: str, tokens: TokenIds, adapter: str | None) -> int:
        """Pin what is cached of a prefix; how many tokens that is. O(edges).

        Raises:
            UsageError: it is pinned already, or there would be too many blocks.
        """
        if self.cache is None:
            return 0
        name = (self.cache.namespace(tenant, adapter), tokens)
        if name in self._nodes:
            msg = (
                f"pin: these {len(tokens)} tokens are pinned in the cache of tenant "
                f"{tenant!r}, by it or by another of its group. Unpin them first."
            )
            raise UsageError(msg)
        hit = self._find(name)
        if not hit.depth:
            return 0
        if self.pinned + hit.depth > self.most:
            msg = (
                f"pin: expected at most {self.most} pinned blocks "
                f"(PrefixCache.max_pinned_blocks); got {hit.depth} more than the "
                f"{self.pinned} there are. Unpin others, or raise the limit."
            )
            raise UsageError(msg)
        self._nodes[name] = self.ledger.tree.lock(hit)
        self._count(hit.depth)
        return hit.depth * self.ledger.size

    def unpin(self, tenant: str, tokens: TokenIds, adapter: str | None) -> None:
        """Leave a prefix to eviction again. O(edges).

        Raises:
            UsageError: it is not pinned.
        """
        cache = self.cache or PrefixCache()
        node = self._nodes.pop((cache.namespace(tenant, adapter), tokens), None)
        if node is None:
            msg = (
                f"unpin: expected tokens that are pinned in the cache of tenant "
                f"{tenant!r}; got {len(tokens)} others."
            )
            raise UsageError(msg)
        self._count(-node.end)
        self.ledger.tree.unlock(node)

    def _count(self, blocks: int) -> None:
        self.pinned += blocks
        self.ledger.kept = self.most - self.pinned

    def nodes(self) -> list[Node]:
        """The locked nodes, for checks."""
        return list(self._nodes.values())

    def _find(self, name: tuple[object, TokenIds]) -> Hit:
        namespace, tokens = name
        tree = self.ledger.tree
        most = len(tokens) // self.ledger.size
        return tree.find(tree.root(namespace), tokens.raw, most)
