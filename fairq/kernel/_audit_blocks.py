"""Where every block is, and the prefix tree, checked the slow and obvious way."""

from collections import Counter
from collections.abc import Iterator

from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._node import Node
from fairq.kernel._prefixes import TOKEN_BYTES
from fairq.kernel._tables import Grant, path
from fairq.plan import BlockId


def block_problems(life: Lifecycle, draft: Draft | None) -> Iterator[str]:
    """What is wrong with blocks, in sentences."""
    yield from _conservation(life, draft)
    yield from _tables(life)
    yield from _tree(life)
    yield from _locks(life, draft)


def _conservation(life: Lifecycle, draft: Draft | None) -> Iterator[str]:
    """Each block is in exactly one place."""
    holders = dict.fromkeys(life.ledger.free_blocks(), "free")
    if len(holders) != life.ledger.free:
        yield "A block is free twice."
    for holder, blocks in _held(life, draft):
        for block in blocks:
            if block in holders:
                yield f"Block {block} is held by {holder} and by {holders[block]}."
            holders[block] = holder
    if sorted(holders) != list(range(life.ledger.total)):
        yield f"{life.ledger.total - len(holders)} blocks are nowhere."


def _held(life: Lifecycle, draft: Draft | None) -> Iterator[tuple[str, list[BlockId]]]:
    for sequence in life.sequences.values():
        leaf = sequence.leaf
        own = sequence.blocks if leaf is None else sequence.blocks[leaf.end :]
        yield f"request {sequence.id}", own
    for node in life.ledger.tree.nodes():
        yield "the prefix tree", node.blocks
    if draft is not None:
        yield "the outstanding plan", draft.grown
        for grant in draft.granted():
            end = 0 if grant.leaf is None else grant.leaf.end
            yield "the outstanding plan", grant.blocks[end:]


def _tables(life: Lifecycle) -> Iterator[str]:
    for sequence in life.sequences.values():
        leaf = sequence.leaf
        if leaf is None:
            continue
        if sequence.blocks[: leaf.end] != path(leaf):
            yield f"The table of request {sequence.id} is not the path of its leaf."
        if not leaf.alive:
            yield f"Request {sequence.id} ends in a node that is gone."
        if leaf.ready < len(leaf.blocks) and leaf.owner != sequence.id:
            yield f"Request {sequence.id} uses blocks that another is computing."


def _tree(life: Lifecycle) -> Iterator[str]:
    tree, size = life.ledger.tree, life.ledger.size
    for namespace, root in tree.roots.items():
        if root.namespace != namespace or root.blocks or root.parent is not None:
            yield f"The root of {namespace} is none."
        if not root.children and not root.locks:
            yield f"The root of {namespace} leads nowhere."
    held = cached = 0
    for node in tree.nodes():
        held += len(node.blocks) if node.locks else 0
        cached += 0 if node.locks else len(node.blocks)
        yield from _node(node, TOKEN_BYTES * size)
        is_end = not node.children and not node.locks and node.parent is not None
        if is_end != tree.may_be_evicted(node):
            yield f"A node with blocks {node.blocks} may be evicted, or may not."
    if (held, cached) != (tree.held, tree.cached):
        yield f"The tree holds {held} and caches {cached} blocks; it says otherwise."


def _node(node: Node, width: int) -> Iterator[str]:
    if node.parent is None:
        return
    where = f"The node with blocks {node.blocks}"
    if not node.blocks or len(node.raw) != width * len(node.blocks):
        yield f"{where} has tokens for {len(node.raw) / width} blocks."
    if node.parent.children.get(node.raw[:width]) is not node or not node.alive:
        yield f"{where} is not the child of its parent."
    if node.end != node.parent.end + len(node.blocks):
        yield f"{where} ends at {node.end}."
    if not 0 <= node.ready <= len(node.blocks):
        yield f"{where} has {node.ready} blocks ready."
    if node.ready < len(node.blocks) and (node.children or node.locks != 1):
        yield f"{where} is being computed and used already."


def _locks(life: Lifecycle, draft: Draft | None) -> Iterator[str]:
    """Locks are the tables and pins that end in a node, and its locked children."""
    grants: list[Grant] = [] if draft is None else draft.granted()
    leaves = [sequence.leaf for sequence in life.sequences.values()]
    ends = [*leaves, *(grant.leaf for grant in grants), *life.pins.nodes()]
    locks = Counter(id(node) for node in ends if node is not None)
    for node in life.ledger.tree.nodes():
        below = sum(child.locks > 0 for child in node.children.values())
        if node.locks != locks[id(node)] + below:
            yield f"The node with blocks {node.blocks} has {node.locks} locks."
    hits = [sequence.hit for sequence in life.sequences.values()]
    sharers = Counter(id(hit) for hit in [*hits, *(g.hit for g in grants)] if hit)
    for node in life.ledger.tree.nodes():
        if len(node.sharers) != sharers[id(node)]:
            yield f"{len(node.sharers)} share {node.blocks}, and are not there."
    if life.pins.pinned > life.pins.most:
        yield f"{life.pins.pinned} blocks are pinned, {life.pins.most} may be."
