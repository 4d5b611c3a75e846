"""Tables: what a sequence finds when it enters, and what it leaves to others."""

import pytest

from fairq import Capacity, Policy, PrefixCache
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from tests.kernel.driving import request
from tests.kernel.parts import sequence
from tests.kernel.sharing import Shop, text


def make_life(blocks: int = 12, cache: PrefixCache | None = None) -> Lifecycle:
    """Blocks of 4 tokens, and a cache for everybody."""
    capacity = Capacity(
        blocks=blocks, block_size=4, max_sequences=8, prefix_cache=cache is not None
    )
    return Lifecycle(capacity, Policy(prefix_cache=cache), slots=8)


@pytest.fixture
def life() -> Lifecycle:
    return make_life(cache=PrefixCache(everybody=True))


def enter(life: Lifecycle, number: int, length: int = 10) -> Sequence:
    """Somebody with 0, 1, 2, ... enters with blocks for all of them."""
    new = sequence(number, life.counters.tenant("a"), length)
    count = life.ledger.blocks_for(length + 1)
    life.tables.enter(new, life.tables.grant(new, life.tables.find(new), count))
    return new


def compute(life: Lifecycle, member: Sequence, computed: int) -> None:
    member.computed = computed
    life.tables.computed(member)


def depth(life: Lifecycle, length: int) -> int:
    """Blocks that somebody new would find."""
    return life.tables.find(sequence(99, life.counters.tenant("a"), length)).depth


def test_without_a_cache_nothing_is_found_and_blocks_are_free_again() -> None:
    life = make_life()
    member = enter(life, 0)
    life.tables.release(member, 10)

    assert depth(life, 10) == 0
    assert life.ledger.free == 12


def test_what_is_computed_is_found_while_its_sequence_is_there(life: Lifecycle) -> None:
    member = enter(life, 0)
    assert depth(life, 10) == 0

    compute(life, member, 7)
    assert depth(life, 10) == 1


def test_full_blocks_stay_when_it_leaves_and_the_rest_is_free(life: Lifecycle) -> None:
    member = enter(life, 0)
    compute(life, member, 10)
    life.tables.release(member, 10)

    assert depth(life, 10) == 2
    assert (10, 2) == (life.ledger.free, life.ledger.tree.cached)


def test_what_it_had_not_computed_is_free(life: Lifecycle) -> None:
    member = enter(life, 0)
    compute(life, member, 5)
    life.tables.release(member, 5)

    assert depth(life, 10) == 1
    assert (11, 1) == (life.ledger.free, life.ledger.tree.cached)


@pytest.mark.parametrize(("length", "found"), [(8, 1), (9, 2), (4, 0), (5, 1)])
def test_the_last_token_is_never_found(
    life: Lifecycle, length: int, found: int
) -> None:
    compute(life, enter(life, 0, 12), 12)

    assert found == depth(life, length)


def test_two_tables_begin_with_the_same_blocks(life: Lifecycle) -> None:
    one = enter(life, 0)
    compute(life, one, 10)
    two = enter(life, 1)

    assert one.blocks[:2] == two.blocks[:2]
    assert one.blocks[2:] != two.blocks[2:]


def test_outputs_are_kept_too(life: Lifecycle) -> None:
    member = enter(life, 0)
    compute(life, member, 10)
    member.outputs.extend([11, 12, 13])
    life.tables.release(member, 12)

    assert depth(life, 13) == 3


def test_who_asks_is_told_what_it_takes(life: Lifecycle) -> None:
    """What is cached is taken out of the cache; what is held is not."""
    member = enter(life, 0)
    compute(life, member, 10)
    new = sequence(1, life.counters.tenant("a"), 10)
    assert life.tables.needs(3, life.tables.find(new)) == 1

    life.tables.release(member, 10)
    assert life.tables.needs(3, life.tables.find(new)) == 3


def test_a_hit_is_not_evicted_for_the_rest_of_its_table() -> None:
    life = make_life(blocks=3, cache=PrefixCache(everybody=True))
    first = enter(life, 0)
    compute(life, first, 10)
    life.tables.release(first, 10)

    found = enter(life, 1)

    assert first.hit is None
    assert [0, 1, 2] == sorted(found.blocks)
    assert life.ledger.available == 0


def test_what_was_granted_and_never_entered_leaves_no_trace(life: Lifecycle) -> None:
    new = sequence(0, life.counters.tenant("a"), 10)
    grant = life.tables.grant(new, life.tables.find(new), 3)
    assert life.ledger.available == 9

    life.tables.revoke(new, grant)

    assert life.ledger.free == 12
    assert life.ledger.tree.roots == {}


def test_who_waits_finds_what_has_come_since_it_looked_last(life: Lifecycle) -> None:
    new = sequence(7, life.counters.tenant("a"), 10)
    assert life.tables.find(new).depth == 0
    member = enter(life, 0)
    assert life.tables.find(new).coming == 0
    compute(life, member, 10)
    assert life.tables.find(new).depth == 2


def test_and_does_not_find_what_has_been_evicted_since(life: Lifecycle) -> None:
    member = enter(life, 0)
    compute(life, member, 10)
    life.tables.release(member, 10)
    new = sequence(7, life.counters.tenant("a"), 10)
    assert life.tables.find(new).depth == 2

    life.ledger.give_back(life.ledger.take(11))
    assert life.tables.find(new).depth == 1


def test_namespaces_are_those_of_the_policy() -> None:
    shop = Shop(Policy(prefix_cache=PrefixCache(groups={"a": "b"})))
    shop.serve(text((1, 7)), "a")

    assert shop.found(text((1, 6), (2, 1)), "b") == 0
    assert shop.found(text((1, 6), (3, 1)), "a") == 6


def test_a_backend_that_cannot_share_is_asked_for_nothing() -> None:
    life = Lifecycle(Capacity(blocks=8, block_size=4), Policy(), slots=8)
    new = Sequence(
        id=sequence(0, life.counters.tenant("a")).id,
        request=request("a", 10),
        tenant=life.counters.tenant("a"),
        submitted_ns=0,
        prompt_length=10,
    )
    grant = life.tables.grant(new, life.tables.find(new), 3)

    assert (0, None) == (grant.cached, grant.leaf)
