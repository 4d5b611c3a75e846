"""The choice of prefixes that saves most, when every prompt may use one of them."""

from collections.abc import Iterable, Sequence

from fairq.offline._profile import Profile
from fairq.offline._trie import Node

__all__ = ["choose_cuts", "members_of_cuts"]


def choose_cuts(nodes: Iterable[Node]) -> None:
    """Decide for each node when it is worth a group of its own; fill in ``cut_below``.

    A group at a node of depth D saves D blocks for each of its prompts but one; a
    prompt belongs to the deepest node above it that has a group. The most that can be
    saved below v, when the nearest group above v is at a, is

    - G(prompt, a) = D(a),
    - G(v, a) = max(sum of G(child, a), sum of G(child, v) - D(v)),

    and the answer is G(root, root) with D(root) = 0. Solved over all pairs (v, a) that
    is O(nodes * depth). But G(v, a) depends on D(a) alone, and is convex in it, so each
    node hands its parent one short ``Profile`` instead of a value for each ancestor.

    Args:
        nodes: All nodes of a tree, each before its parent.

    Cost: O(nodes * sqrt(depth) * log(depth)), depth in blocks; about linear for trees
    that are not made up for it.

    Source: the objective is that of BatchLLM (arXiv 2412.03594), whose published code
    solves it by a greedy rule; the recurrence is exact.
    """
    profiles: dict[Node, Profile] = {}
    for node in nodes:
        profile = profiles.pop(node, None) or Profile(0)
        profile.add(Profile(len(node.ends)), node.depth)
        node.cut_below = profile.offer_cut(node.depth)
        if node.parent is not None:
            above = profiles.setdefault(node.parent, Profile(0))
            above.add(profile, node.parent.depth)


def members_of_cuts(nodes: Sequence[Node]) -> dict[Node, list[int]]:
    """The prompts of each group, after ``choose_cuts``; those of the root are alone.

    No other group has fewer than two: with one it would save nothing, and a draw is
    decided against it.

    Args:
        nodes: All nodes of a tree, each before its parent.

    Cost: linear in nodes and prompts.
    """
    nearest: dict[Node, Node] = {}
    members: dict[Node, list[int]] = {}
    for node in reversed(nodes):
        above = node if node.parent is None else nearest[node.parent]
        cut = node if above.depth < node.cut_below else above
        nearest[node] = cut
        members.setdefault(cut, []).extend(node.ends)
    return members
