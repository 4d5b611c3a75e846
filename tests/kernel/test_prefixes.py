"""The prefix tree by hand: what is found, what is held, what goes first."""

import pytest

from fairq import BlockId, RequestId, TokenIds
from fairq.kernel._node import Node
from fairq.kernel._prefixes import PrefixTree

ME = RequestId(0)
OTHER = RequestId(1)


def raw(*tokens: int) -> bytes:
    return TokenIds(tokens).raw


def ids(*numbers: int) -> list[BlockId]:
    return [BlockId(number) for number in numbers]


def keep(tree: PrefixTree, tokens: tuple[int, ...], blocks: list[BlockId]) -> list[int]:
    """Somebody computed this and left; the blocks that were not needed."""
    leaf = tree.lock(tree.find(tree.root("a"), raw(*tokens), 0))
    unneeded = tree.insert(leaf, raw(*tokens), blocks)
    tree.unlock(leaf)
    return [*unneeded]


def depth(tree: PrefixTree, *tokens: int, namespace: str = "a") -> int:
    return tree.find(tree.root(namespace), raw(*tokens), len(tokens)).depth


def hold(tree: PrefixTree, *tokens: int) -> Node:
    return tree.lock(tree.find(tree.root("a"), raw(*tokens), len(tokens)))


@pytest.fixture
def tree() -> PrefixTree:
    """Blocks of one token: 1 2 3 4 and 1 2 5, that later."""
    tree = PrefixTree(1)
    keep(tree, (1, 2, 3, 4), ids(0, 1, 2, 3))
    keep(tree, (1, 2, 5), ids(10, 11, 4))
    return tree


def test_nothing_is_found_in_an_empty_tree() -> None:
    assert depth(PrefixTree(4), 1, 2, 3) == 0


@pytest.mark.parametrize(
    ("tokens", "found"),
    [
        ((1, 2, 3, 4, 9), 4),
        ((1, 2, 3, 9), 3),
        ((1, 2, 5), 3),
        ((1, 2), 2),
        ((1, 9, 3), 1),
        ((2, 3), 0),
    ],
)
def test_the_longest_prefix_is_found(
    tree: PrefixTree, tokens: tuple[int, ...], found: int
) -> None:
    assert found == depth(tree, *tokens)


def test_no_more_is_found_than_is_wanted(tree: PrefixTree) -> None:
    assert tree.find(tree.root("a"), raw(1, 2, 3, 4), 1).depth == 1


def test_another_namespace_has_a_tree_of_its_own(tree: PrefixTree) -> None:
    assert depth(tree, 1, 2, 3, namespace="b") == 0


def test_tokens_are_compared_in_whole_blocks() -> None:
    tree = PrefixTree(2)
    keep(tree, (1, 2, 3, 4), ids(0, 1))

    assert tree.find(tree.root("a"), raw(1, 2, 3, 5), 2).depth == 1


def test_blocks_that_the_tree_has_already_are_not_needed(tree: PrefixTree) -> None:
    assert keep(tree, (1, 2, 3, 6), ids(20, 21, 22, 23)) == [20, 21, 22]
    assert depth(tree, 1, 2, 3, 6) == 4
    assert tree.cached == 6


def test_what_is_held_is_not_cached(tree: PrefixTree) -> None:
    leaf = hold(tree, 1, 2, 3)
    assert (3, 2) == (tree.held, tree.cached)

    tree.unlock(leaf)
    assert (0, 5) == (tree.held, tree.cached)


def test_what_two_hold_is_held_until_both_have_left(tree: PrefixTree) -> None:
    one, two = hold(tree, 1, 2, 3), hold(tree, 1, 2, 5)
    tree.unlock(one)
    assert (3, 2) == (tree.held, tree.cached)

    tree.unlock(two)
    assert tree.held == 0


def test_a_hit_counts_what_nobody_holds(tree: PrefixTree) -> None:
    hold(tree, 1, 2)

    assert tree.unlocked(tree.find(tree.root("a"), raw(1, 2, 3), 3)) == 1
    assert tree.unlocked(tree.find(tree.root("a"), raw(1, 2), 2)) == 0


# --- what is coming -----------------------------------------------------------------


def test_what_somebody_computes_is_coming_and_not_found(tree: PrefixTree) -> None:
    leaf = tree.announce(hold(tree, 1, 2), raw(7, 8), ids(30, 31), ME)
    hit = tree.find(tree.root("a"), raw(1, 2, 7, 8), 4)
    assert (2, ME) == (hit.depth, hit.coming)

    tree.complete(leaf, 1)
    hit = tree.find(tree.root("a"), raw(1, 2, 7, 8), 4)
    assert (3, ME) == (hit.depth, hit.coming)


def test_nothing_is_coming_for_who_wants_less(tree: PrefixTree) -> None:
    tree.announce(hold(tree, 1, 2), raw(7, 8), ids(30, 31), ME)

    assert tree.find(tree.root("a"), raw(1, 2, 7), 2).coming is None


def test_the_same_is_not_announced_twice(tree: PrefixTree) -> None:
    leaf = tree.announce(hold(tree, 1, 2), raw(7), ids(30), ME)
    hit = tree.find(tree.root("a"), raw(1, 2, 7), 3)
    second = tree.lock(hit)

    assert second is tree.announce(second, raw(7), ids(31), OTHER)
    assert leaf.blocks == ids(30)


def test_what_was_not_computed_is_withdrawn(tree: PrefixTree) -> None:
    leaf = tree.announce(hold(tree, 1, 2), raw(7, 8, 9), ids(30, 31, 32), ME)
    tree.complete(leaf, 1)

    kept, gone = tree.withdraw(leaf)

    assert (leaf, ids(31, 32)) == (kept, gone)
    assert depth(tree, 1, 2, 7, 8) == 3


def test_an_old_hit_knows_that_more_could_be_found(tree: PrefixTree) -> None:
    hit = tree.find(tree.root("a"), raw(1, 2, 9), 3)
    assert hit.holds

    keep(tree, (1, 2, 9), ids(40, 41, 42))
    assert not hit.holds


# --- eviction -----------------------------------------------------------------------


def test_tails_go_first_and_the_least_recent_before_others(tree: PrefixTree) -> None:
    assert ids(3, 2, 4, 1, 0) == tree.evict(5)
    assert tree.cached == 0


def test_what_was_used_last_goes_last(tree: PrefixTree) -> None:
    tree.unlock(hold(tree, 1, 2, 3, 4))

    assert ids(4, 3, 2) == tree.evict(3)


def test_a_tail_is_not_used_with_its_beginning(tree: PrefixTree) -> None:
    """1 2 3 is used again, 4 is not; so 4 goes before 5, and 5 before 3."""
    tree.unlock(hold(tree, 1, 2, 3))

    assert ids(3, 4, 2) == tree.evict(3)


def test_nor_by_somebody_who_brings_the_same_beginning(tree: PrefixTree) -> None:
    keep(tree, (1, 2, 3), ids(20, 21, 22))

    assert ids(3, 4, 2) == tree.evict(3)


def test_what_is_held_stays(tree: PrefixTree) -> None:
    hold(tree, 1, 2, 3)

    assert ids(3, 4) == tree.evict(tree.cached)
    assert depth(tree, 1, 2, 3) == 3


def test_an_edge_is_evicted_from_its_end(tree: PrefixTree) -> None:
    assert ids(3) == tree.evict(1)
    assert depth(tree, 1, 2, 3, 4) == 3


def test_an_empty_tree_has_no_roots(tree: PrefixTree) -> None:
    tree.evict(tree.cached)

    assert tree.roots == {}
    assert [] == list(tree.nodes())
