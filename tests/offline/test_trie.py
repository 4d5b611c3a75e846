"""The radix tree has the nodes that it should, children first."""

from fairq import TokenIds
from fairq.offline._trie import Node, prefix_trie

Shape = dict[tuple[int, int | None], list[int]]
"""By depth of a node and of its parent, the prompts that end there."""


def shape(*prompts: list[int], block_size: int = 1) -> Shape:
    packed = list(map(TokenIds, prompts))
    nodes = prefix_trie(packed, range(len(packed)), block_size)
    return {(node.depth, above(node)): sorted(node.ends) for node in nodes}


def above(node: Node) -> int | None:
    return None if node.parent is None else node.parent.depth


def test_no_prompts_are_a_root() -> None:
    assert {(0, None): []} == shape()


def test_a_prompt_ends_before_its_last_token() -> None:
    assert {(0, None): [], (2, 0): [0]} == shape([1, 2, 3])


def test_a_prompt_of_one_token_ends_at_the_root() -> None:
    assert {(0, None): [0]} == shape([1])


def test_a_depth_is_in_whole_blocks() -> None:
    assert {(0, None): [], (2, 0): [0]} == shape([1] * 12, block_size=4)
    assert {(0, None): [], (3, 0): [0]} == shape([1] * 13, block_size=4)


def test_equal_prompts_end_at_one_node() -> None:
    assert {(0, None): [], (2, 0): [0, 1]} == shape([1, 2, 3], [1, 2, 3])


def test_prompts_that_differ_in_the_last_token_alone_end_at_one_node() -> None:
    assert {(0, None): [], (2, 0): [0, 1]} == shape([1, 2, 3], [1, 2, 4])


def test_a_prompt_ends_on_the_way_of_a_longer_one() -> None:
    expected: Shape = {(0, None): [], (2, 0): [1], (4, 2): [0]}

    assert expected == shape([1, 2, 3, 4, 5], [1, 2, 9])


def test_a_whole_prompt_on_the_way_ends_before_its_last_block() -> None:
    """It stands before the longer ones when they are sorted, and ends above them."""
    expected: Shape = {(0, None): [], (1, 0): [1], (3, 1): [0]}

    assert expected == shape([1, 2, 3, 4], [1, 2])


def test_a_fork_is_a_node_where_nobody_ends() -> None:
    prompts = [1, 2, 3, 4, 9], [1, 2, 5, 6, 7, 9]
    expected: Shape = {(0, None): [], (2, 0): [], (4, 2): [0], (5, 2): [1]}

    assert expected == shape(*prompts)


def test_only_whole_blocks_make_a_fork() -> None:
    prompts = [1, 2, 3, 4, 5, 6, 9], [1, 2, 3, 9, 5, 6, 9]
    expected: Shape = {(0, None): [], (1, 0): [], (3, 1): [0, 1]}

    nodes = prefix_trie([TokenIds(p) for p in prompts], range(2), 2)

    assert expected.keys() == {(node.depth, above(node)) for node in nodes}
    assert [[0], [1]] == sorted(node.ends for node in nodes if node.depth == 3)


def test_tokens_are_compared_whole() -> None:
    """256 and 1 have the same bytes, in other places."""
    assert {(0, None), (2, 0)} == set(shape([256, 1, 9], [1, 256, 9]))


def test_children_come_before_their_parents_and_the_root_last() -> None:
    prompts = [[a, b, c, 9] for a in range(2) for b in range(2) for c in range(2)]
    nodes = prefix_trie([TokenIds(p) for p in prompts], range(8), 1)
    places = {node: place for place, node in enumerate(nodes)}

    assert nodes[-1].parent is None
    for node in nodes[:-1]:
        assert node.parent is not None
        assert places[node] < places[node.parent]


def test_only_the_prompts_that_were_named_are_there() -> None:
    prompts = [TokenIds([1, 2, 3]), TokenIds([4, 5, 6])]

    assert [[1], []] == [node.ends for node in prefix_trie(prompts, [1], 1)]
