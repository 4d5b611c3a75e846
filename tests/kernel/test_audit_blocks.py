"""Blocks that are shared: every invariant is broken once, so that ``check`` sees it."""

from collections.abc import Callable

import pytest

from fairq import InvariantError, Policy, PrefixCache, RequestId
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._node import Node
from tests.kernel.driving import Loop, capacity

SHARED = [7] * 4 + [8] * 4


def healthy() -> Loop:
    """Requests 2 and 3 begin with blocks 0 and 1; nobody holds block 2; 0 is pinned."""
    cache = PrefixCache(everybody=True, max_pinned_blocks=2)
    loop = Loop(capacity(sequences=2, prefix_cache=True), Policy(prefix_cache=cache))
    loop.send([*SHARED, 9], max_tokens=1)
    loop.step()
    loop.send([5] * 4 + [6], max_tokens=1)
    loop.step()
    loop.kernel.pin("a", [7] * 4)
    for last in (10, 11):
        loop.send([*SHARED, last], "b", max_tokens=9)
    loop.step()
    loop.kernel.check()
    return loop


def root(life: Lifecycle) -> Node:
    (found,) = life.ledger.tree.roots.values()
    return found


def child(life: Lifecycle, token: int) -> Node:
    """The edge that begins with this token."""
    (found,) = (
        node for node in life.ledger.tree.nodes() if node.raw[:1] == bytes([token])
    )
    return found


def shared(life: Lifecycle) -> Node:
    """Where the tables of both begin to differ."""
    leaf = life.sequences[RequestId(2)].leaf
    assert leaf is not None
    return leaf


def named_twice(life: Lifecycle) -> None:
    child(life, 5).blocks[0] = shared(life).blocks[0]


def lost(life: Lifecycle) -> None:
    del life.ledger._free[-1]


def another_path(life: Lifecycle) -> None:
    blocks = life.sequences[RequestId(2)].blocks
    blocks[:2] = blocks[1], blocks[0]


def evicted_under_a_table(life: Lifecycle) -> None:
    shared(life).alive = False


def computing_for_others(life: Lifecycle) -> None:
    shared(life).ready = 0


def root_renamed(life: Lifecycle) -> None:
    root(life).namespace = "another"


def root_without_use(life: Lifecycle) -> None:
    life.ledger.tree.roots["empty"] = Node(None, namespace="empty")


def not_to_be_evicted(life: Lifecycle) -> None:
    life.ledger.tree._candidates.discard(child(life, 5))


def held_miscounted(life: Lifecycle) -> None:
    life.ledger.tree.held += 1


def tokens_lost(life: Lifecycle) -> None:
    child(life, 5).raw = b""


def end_wrong(life: Lifecycle) -> None:
    child(life, 5).end += 1


def more_ready_than_there_is(life: Lifecycle) -> None:
    child(life, 5).ready = 2


def lock_lost(life: Lifecycle) -> None:
    child(life, 8).locks -= 1


def sharer_lost(life: Lifecycle) -> None:
    shared(life).sharers.popitem()


def too_many_pinned(life: Lifecycle) -> None:
    life.pins.pinned = 3


BREAKS: list[tuple[Callable[[Lifecycle], None], str]] = [
    (named_twice, "is held by the prefix tree and by the prefix tree."),
    (lost, "1 blocks are nowhere."),
    (another_path, "The table of request 2 is not the path of its leaf."),
    (evicted_under_a_table, "Request 2 ends in a node that is gone."),
    (computing_for_others, "Request 2 uses blocks that another is computing."),
    (root_renamed, "is none."),
    (root_without_use, "The root of empty leads nowhere."),
    (not_to_be_evicted, "A node with blocks [2] may be evicted, or may not."),
    (held_miscounted, "The tree holds 2 and caches 1 blocks; it says otherwise."),
    (tokens_lost, "The node with blocks [2] has tokens for 0.0 blocks."),
    (end_wrong, "The node with blocks [2] ends at 2."),
    (more_ready_than_there_is, "The node with blocks [2] has 2 blocks ready."),
    (lock_lost, "The node with blocks [1] has 1 locks."),
    (sharer_lost, "1 share [1], and are not there."),
    (too_many_pinned, "3 blocks are pinned, 2 may be."),
]


def test_a_healthy_kernel_that_shares_has_no_problems() -> None:
    life = healthy().kernel._life
    assert life.sequences[RequestId(2)].blocks[:2] == [0, 1]
    assert (2, 1) == (life.ledger.tree.held, life.ledger.tree.cached)


@pytest.mark.parametrize(("damage", "expected"), BREAKS)
def test_damage_to_what_is_shared_is_found_and_named(
    damage: Callable[[Lifecycle], None], expected: str
) -> None:
    loop = healthy()
    damage(loop.kernel._life)
    with pytest.raises(InvariantError) as caught:
        loop.kernel.check()
    assert expected in str(caught.value)


def test_blocks_that_an_outstanding_plan_shares_are_accounted_for() -> None:
    loop = healthy()
    loop.run()
    for last in (12, 13):
        loop.send([*SHARED, last, last, last, last], "c", max_tokens=2)
    plan = loop.plan()
    assert [8, 8] == [enter.cached for enter in plan.enter]
    loop.fail(plan)
    loop.kernel.check()


def test_a_text_that_is_being_computed_is_nobodys_yet() -> None:
    loop = Loop(capacity(tokens=4, prefix_cache=True))
    loop.send([*SHARED, 9])
    loop.step()
    leaf = loop.kernel._life.sequences[RequestId(0)].leaf
    assert leaf is not None
    assert (1, 2) == (leaf.ready, len(leaf.blocks))
    leaf.locks += 1
    with pytest.raises(InvariantError, match="is being computed and used already"):
        loop.kernel.check()
