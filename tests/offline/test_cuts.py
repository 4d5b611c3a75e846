"""Where groups pay, on trees made by hand; and what a profile keeps of a subtree."""

from itertools import accumulate, pairwise
from math import isqrt

from fairq.offline._cuts import choose_cuts, members_of_cuts
from fairq.offline._profile import Profile
from fairq.offline._trie import Node


def subtree(depth: int, prompts: int, *below: Profile) -> tuple[Profile, int]:
    """The profile of a node, and how deep the cut above it must be."""
    profile = Profile(prompts)
    for each in below:
        profile.add(each, depth)
    return profile, profile.offer_cut(depth)


def slopes(profile: Profile, depth: int) -> list[int]:
    """What the subtree saves more for each block of the cut above it."""
    rises = [profile._rises.get(start, 0) for start in range(depth)]
    return list(accumulate(rises))


def test_a_prompt_alone_never_pays() -> None:
    profile, needed = subtree(5, 1)

    assert 0 == needed
    assert [1] * 5 == slopes(profile, 5)


def test_two_prompts_pay_unless_the_cut_above_is_half_as_deep() -> None:
    """For a cut of d they save 2 d there, and 6 here."""
    profile, needed = subtree(6, 2)

    assert 3 == needed
    assert [0, 0, 0, 2, 2, 2] == slopes(profile, 6)


def test_what_is_no_whole_number_of_blocks_is_a_step_of_its_own() -> None:
    """For a cut of d they save 2 d there, and 5 here."""
    profile, needed = subtree(5, 2)

    assert 3 == needed
    assert [0, 0, 1, 2, 2] == slopes(profile, 5)


def test_a_fork_adds_up_what_is_below() -> None:
    """Below two pairs of depth 6, for a cut of d: max(6, 2 d) each; here 2 * 8 - 4."""
    (one, _), (two, _) = subtree(6, 2), subtree(6, 2)
    profile, needed = subtree(4, 0, one, two)

    assert 0 == needed
    assert [0, 0, 0, 4] == slopes(profile, 4)


def test_a_profile_stays_short_in_a_long_chain() -> None:
    profile = Profile(0)
    for depth in range(3_000, 0, -1):
        profile, _ = subtree(depth, 1, profile)
        assert len(profile._rises) <= isqrt(2 * depth) + 3


def chain(length: int) -> list[Node]:
    """Prefixes of 1, 2, 3, ... blocks, one prompt at the end of each; longest first."""
    nodes = [Node(0)]
    for depth in range(1, length + 1):
        nodes.append(Node(depth, [depth], nodes[-1]))
    return nodes[::-1]


def test_ten_thousand_nested_prefixes_are_no_trouble() -> None:
    nodes = chain(10_000)

    choose_cuts(nodes)
    members = members_of_cuts(nodes)

    assert 10_000 == sum(map(len, members.values()))
    cuts = sorted(cut.depth for cut in members if cut.depth)
    for cut, following in pairwise([*cuts, 10_001]):
        (node,) = [node for node in members if node.depth == cut]
        assert list(range(cut, following)) == sorted(members[node])


def test_no_single_change_of_a_long_chain_saves_more() -> None:
    """Neither a cut less, nor one that is a block higher or deeper."""
    nodes = chain(1_000)
    choose_cuts(nodes)
    cuts = sorted(cut.depth for cut in members_of_cuts(nodes) if cut.depth)
    best = saved(cuts, 1_000)

    for place, cut in enumerate(cuts):
        rest = [*cuts[:place], *cuts[place + 1 :]]
        assert saved(rest, 1_000) <= best
        assert saved(sorted({*rest, cut - 1} - {0}), 1_000) <= best
        assert saved(sorted({*rest, cut + 1}), 1_000) <= best


def saved(cuts: list[int], length: int) -> int:
    """Blocks saved in a chain when the prefixes of these depths have groups."""
    ends = [*cuts[1:], length + 1]
    return sum((end - cut - 1) * cut for cut, end in zip(cuts, ends, strict=True))
