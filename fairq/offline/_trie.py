"""The radix tree of all prompts, in whole blocks and without their last token."""

from collections.abc import Iterable, Sequence

import attrs

from fairq.tokens import TokenIds

__all__ = ["Node", "prefix_trie"]


@attrs.define(eq=False)
class Node:
    """A prefix at which prompts end, or after which they differ."""

    depth: int
    """Length of the prefix, in blocks."""

    ends: list[int] = attrs.field(factory=list)
    """Prompts that share no more than this prefix with anybody, by index."""

    parent: "Node | None" = None
    """The longest shorter prefix that is a node; None for the root."""

    cut_below: int = 0
    """Filled in by ``choose_cuts``: this prefix is worth a group of its own exactly
    where the nearest one above it that has one is shorter than so many blocks."""


def prefix_trie(
    prompts: Sequence[TokenIds], indices: Iterable[int], block_size: int
) -> list[Node]:
    """Build the radix tree of some prompts.

    Only whole blocks can be shared, and the last token of a prompt is always computed:
    a prompt of n tokens ends at depth (n - 1) // block_size.

    Args:
        prompts: All prompts; none is empty.
        indices: Which of them to take.
        block_size: Tokens per block, at least 1.

    Returns:
        The nodes, each before its parent; the root, of depth 0, is the last. At most
        two per prompt, and one.

    Cost: a sort of the packed prompts, then time linear in their length; no recursion.
    """
    branch, done = [Node(0)], list[Node]()
    before = b""
    # Prompts that begin alike stand together in the order of their bytes. Whole prompts
    # are sorted, not what is shared of them: that is the same tree, and copies nothing.
    for index in sorted(indices, key=lambda index: prompts[index].raw):
        raw, depth = prompts[index].raw, (len(prompts[index]) - 1) // block_size
        width = len(raw) // len(prompts[index]) * block_size
        shared = _common(before, raw, min(branch[-1].depth, depth), width)
        _close(branch, done, shared)
        if branch[-1].depth < depth:
            branch.append(Node(depth))
        branch[-1].ends.append(index)
        before = raw
    _close(branch, done, 0)
    return done + branch


def _common(one: bytes, two: bytes, most: int, width: int) -> int:
    """Blocks of ``width`` bytes that two begin alike with, at most ``most``.

    Cost: linear in ``most``, of which each half is compared at most once.
    """
    same, most = 0, most + 1
    while same + 1 < most:
        middle = (same + most) // 2
        start, end = same * width, middle * width
        if one.startswith(two[start:end], start):
            same = middle
        else:
            most = middle
    return same


def _close(branch: list[Node], done: list[Node], depth: int) -> None:
    """Finish the nodes of a branch below a depth; the branch then ends there."""
    while branch[-1].depth > depth:
        node = branch.pop()
        if branch[-1].depth < depth:
            branch.append(Node(depth))
        node.parent = branch[-1]
        done.append(node)
