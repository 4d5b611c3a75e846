"""A node of the prefix tree, and what a search ends with."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from fairq.plan import BlockId
from fairq.request import RequestId

LINKS: Final = ("parent", "children")


@attrs.define(eq=False)
class Node:
    """One edge of the tree and the node at its end; a root has no blocks."""

    parent: "Node | None"
    raw: bytes = b""
    """Tokens of the edge, packed."""
    blocks: list[BlockId] = attrs.field(factory=list)
    end: int = 0
    """Blocks from the root to the end of this edge."""
    ready: int = 0
    """Leading blocks of the edge whose KV is computed."""
    locks: int = 0
    """Tables and pins that end here, and children that are locked."""
    used: int = 0
    """Number of the last release of a table that ended here."""
    owner: RequestId | None = None
    """Who computed it."""
    alive: bool = True
    version: int = 0
    """Goes up with every change after which a search that ended here may go on, or end
    before."""
    children: "dict[bytes, Node]" = attrs.field(factory=dict)
    """By the tokens of their first block."""
    sharers: dict[RequestId, None] = attrs.field(factory=dict)
    """Members of the batch whose cached prefix ends here."""
    namespace: object = None
    """Of a root: what it is the root of."""

    # Pickled without its neighbours, which the tree links again: a conversation of many
    # turns is a chain of many nodes, and following it would recurse as deep.

    def __getstate__(self) -> dict[str, Any]:
        fields = attrs.fields_dict(Node)
        return {name: getattr(self, name) for name in fields if name not in LINKS}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.parent, self.children = None, {}
        for name, value in state.items():
            setattr(self, name, value)

    @property
    def start(self) -> int:
        """Blocks from the root to the beginning of this edge."""
        return self.end - len(self.blocks)


@attrs.define(eq=False)
class Hit:
    """How much of a text is in the tree."""

    node: Node
    """Holds the last block found; the root when there is none."""
    depth: int
    """Blocks found, ready."""
    coming: RequestId | None = None
    """Who is computing the next block, if somebody is."""
    version: int = 0
    """Of the node, when it was found."""

    @property
    def holds(self) -> bool:
        """Whether a new search would find the same."""
        return self.node.alive and self.node.version == self.version

    def on_the_way(self) -> Node | None:
        """The last node that the text goes through and that is still there."""
        node: Node | None = self.node
        while node is not None and (not node.alive or node.end > self.depth):
            node = node.parent
        return node
