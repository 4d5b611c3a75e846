"""The prefix tree: which full blocks hold the KV of which tokens.

A radix tree per namespace. An edge is a run of blocks with their tokens, packed; the
children of a node are found by the tokens of their first block, and the rest of an edge
is compared as bytes. So a match is by the tokens themselves, no hash can collide, and
a prompt costs one comparison in C per edge and not one look-up per block.

A node is *locked* while a table (or a pin) ends in it or below; the nodes that are not
locked are the cache. Who is computing a prompt has its blocks in the tree already, not
*ready* yet, so that others with the same prefix can see that it is coming.

Eviction takes blocks from the ends of edges that nobody continues, least recently used
first by a clock that counts releases. A block that several have used is as recent as
the last of them, so the tails that only one of them had go before it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fairq.kernel._heap import LazyHeap
from fairq.kernel._node import Hit, Node
from fairq.plan import BlockId
from fairq.request import RequestId

TOKEN_BYTES: Final = 4


class PrefixTree:
    """All namespaces of one pool.

    Args:
        block_size: Tokens per block.
    """

    __slots__ = ("_candidates", "_releases", "_width", "cached", "held", "roots")

    def __init__(self, block_size: int) -> None:
        self._width = TOKEN_BYTES * block_size
        self._candidates: LazyHeap[Node] = LazyHeap(_by_use)
        """Ends of edges that are neither locked nor continued."""
        self._releases = 0
        self.roots: dict[object, Node] = {}
        self.cached = 0
        """Blocks in the tree that are not locked."""
        self.held = 0
        """Blocks in the tree that are."""

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        return state | {"links": [(node, node.parent) for node in self.nodes()]}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, state[name])
        for node, parent in state["links"]:
            node.parent = parent
            if parent is not None:
                parent.children[node.raw[: self._width]] = node

    # --- looking --------------------------------------------------------------------

    def find(self, start: Node, raw: bytes, most: int) -> Hit:
        """The longest prefix of a text in the tree, in whole blocks.

        Args:
            start: A node on the way that is known already, or the root.
            raw: The text, packed.
            most: Blocks wanted at most.

        Costs one dict entry and one comparison in C per edge.
        """
        node, width = start, self._width
        while node.end < most:
            at = node.end * width
            child = node.children.get(raw[at : at + width])
            if child is None:
                break
            same = self._common(child, raw, most)
            if child.ready < same:
                where = child if child.ready else node
                depth = node.end + child.ready
                return Hit(where, depth, child.owner, where.version)
            if same < len(child.blocks):
                return Hit(child, node.end + same, None, child.version)
            node = child
        return Hit(node, node.end, None, node.version)

    def _common(self, child: Node, raw: bytes, most: int) -> int:
        """Blocks of an edge that a text has too, at least 1."""
        width, at = self._width, child.start * self._width
        length = min(len(child.blocks), most - child.start)
        low, high = 1, length
        while low < high:
            # The whole of it first: mostly that is it.
            middle = high if high == length else (low + high + 1) // 2
            if raw.startswith(child.raw[: middle * width], at):
                low = middle
            else:
                high = middle - 1
                length = -1
        return low

    def unlocked(self, hit: Hit) -> int:
        """Blocks of a hit that nobody holds: taking the hit takes them from the cache.

        Costs O(edges that are not locked).
        """
        node: Node | None = hit.node
        count = 0
        end = hit.depth
        while node is not None and not node.locks:
            count += end - node.start
            end = node.start
            node = node.parent
        return count

    # --- holding --------------------------------------------------------------------

    def root(self, namespace: object) -> Node:
        """The root of a namespace; a new one becomes part of the tree when locked."""
        new = Node(None, namespace=namespace, alive=False)
        return self.roots.get(namespace, new)

    def lock(self, hit: Hit) -> Node:
        """Hold a hit that was just found; the node that now ends where it does."""
        node = hit.node
        if node.parent is None:
            self.roots[node.namespace] = node
            node.alive = True
        if node.end > hit.depth:
            node = self._split(node, hit.depth - node.start)
        self._lock(node)
        return node

    def _lock(self, leaf: Node) -> None:
        node: Node | None = leaf
        while node is not None:
            node.locks += 1
            if node.locks > 1:
                return
            self._candidates.discard(node)
            self.cached -= len(node.blocks)
            self.held += len(node.blocks)
            node = node.parent

    def unlock(self, leaf: Node) -> None:
        """Let go of a node, which becomes the most recently used."""
        self._releases += 1
        leaf.used = self._releases
        self._unlock(leaf)

    def _unlock(self, leaf: Node) -> None:
        node: Node | None = leaf
        while node is not None:
            node.locks -= 1
            if node.locks:
                return
            self.cached += len(node.blocks)
            self.held -= len(node.blocks)
            self._tidy(node)
            node = node.parent

    def _tidy(self, node: Node) -> None:
        """Note a node that may be evicted; drop a root that nobody needs."""
        if node.children or node.locks:
            return
        if node.parent is None:
            node.alive = False
            del self.roots[node.namespace]
        else:
            self._candidates.add(node)

    def _split(self, node: Node, count: int) -> Node:
        """Cut an edge after so many blocks; the new node is the upper part.

        The lower part stays the same object, because tables end in it.
        """
        parent, width = node.parent, self._width
        assert parent is not None  # noqa: S101  # a root has nothing to cut
        upper = Node(
            parent=parent,
            raw=node.raw[: count * width],
            blocks=node.blocks[:count],
            end=node.start + count,
            ready=min(count, node.ready),
            locks=1 if node.locks else 0,
            used=node.used,
            owner=node.owner,
        )
        parent.children[node.raw[:width]] = upper
        node.version += 1
        node.raw = node.raw[count * width :]
        node.blocks = node.blocks[count:]
        node.ready = max(0, node.ready - count)
        node.parent = upper
        upper.children[node.raw[:width]] = node
        return upper

    # --- growing --------------------------------------------------------------------

    def announce(
        self, leaf: Node, raw: bytes, blocks: list[BlockId], owner: RequestId
    ) -> Node:
        """Continue a locked node by blocks that are about to be computed.

        The lock of the caller moves to the new node, which is returned; or stays where
        it is when somebody else is computing, or has computed, the same.
        """
        key = raw[: self._width]
        if not blocks or key in leaf.children:
            return leaf
        end = leaf.end + len(blocks)
        node = Node(leaf, raw, blocks, end, locks=1, owner=owner)
        leaf.children[key] = node
        leaf.version += 1
        self.held += len(blocks)
        return node

    def complete(self, leaf: Node, ready: int) -> None:
        """So many blocks of what was announced are computed by now."""
        leaf.ready = ready
        leaf.version += 1
        if leaf.parent is not None:
            # Who found nothing of the edge yet ended there.
            leaf.parent.version += 1

    def withdraw(self, leaf: Node) -> tuple[Node, list[BlockId]]:
        """Take back what was announced and not computed; where the lock is now."""
        gone = leaf.blocks[leaf.ready :]
        if not gone:
            return leaf, gone
        self.held -= len(gone)
        if leaf.ready:
            self._cut(leaf, leaf.ready)
            return leaf, gone
        parent = leaf.parent
        assert parent is not None  # noqa: S101  # a root has no blocks to be gone
        del parent.children[leaf.raw[: self._width]]
        leaf.alive = False
        parent.version += 1
        return parent, gone

    def insert(self, leaf: Node, raw: bytes, blocks: list[BlockId]) -> list[BlockId]:
        """Continue a locked node by computed blocks, which nobody holds from now on.

        Args:
            leaf: The node.
            raw: The whole text, packed; it begins with what leads to the node.
            blocks: Those after the node, full.

        Returns:
            The blocks that are not needed, because the tree has their tokens already,
            or somebody else is computing them.
        """
        node, first, width = leaf, leaf.end, self._width
        end = first + len(blocks)
        while node.end < end:
            at = node.end * width
            child = node.children.get(raw[at : at + width])
            if child is None:
                known = node.end - first
                self._add(node, raw[at : end * width], blocks[known:])
                return blocks[:known]
            if child.ready < len(child.blocks):
                return blocks
            same = self._common(child, raw, end)
            if same < len(child.blocks):
                # Also where the text ends: the rest was not used with it.
                child = self._split(child, same)
            node = child
        node.used = max(node.used, self._releases + 1)
        return blocks

    def _add(self, parent: Node, raw: bytes, blocks: list[BlockId]) -> None:
        count = len(blocks)
        node = Node(parent, raw, blocks, parent.end + count, count)
        node.used = self._releases + 1
        self._candidates.discard(parent)
        parent.children[raw[: self._width]] = node
        parent.version += 1
        self.cached += count
        self._candidates.add(node)

    def _cut(self, node: Node, count: int) -> None:
        """Keep only the first blocks of an edge."""
        node.end -= len(node.blocks) - count
        node.blocks = node.blocks[:count]
        node.raw = node.raw[: count * self._width]
        node.ready = min(node.ready, count)
        node.version += 1

    # --- evicting -------------------------------------------------------------------

    def evict(self, count: int) -> list[BlockId]:
        """Take so many blocks out of the cache, 0 <= count <= cached.

        Costs O(log) per edge, not per block.
        """
        gone: list[BlockId] = []
        while len(gone) < count:
            node = self._candidates.top()
            assert node is not None  # noqa: S101  # the cache has that many
            keep = max(0, len(node.blocks) - (count - len(gone)))
            gone += reversed(node.blocks[keep:])
            if keep:
                self._cut(node, keep)
            else:
                self._remove(node)
        self.cached -= len(gone)
        return gone

    def _remove(self, node: Node) -> None:
        parent = node.parent
        assert parent is not None  # noqa: S101  # a root is no candidate
        self._candidates.discard(node)
        del parent.children[node.raw[: self._width]]
        node.alive = False
        self._tidy(parent)

    # --- for checks -----------------------------------------------------------------

    def nodes(self) -> Iterator[Node]:
        """Every node, roots first."""
        todo = list(self.roots.values())
        while todo:
            node = todo.pop()
            yield node
            todo += node.children.values()

    def may_be_evicted(self, node: Node) -> bool:
        """Whether a node is among the candidates."""
        return node in self._candidates


def _by_use(node: Node) -> int:
    return node.used
