from random import Random  # noqa: TID251  # seeded: the history is part of the test

import pytest

from fairq.kernel._heap import STALE, LazyHeap


def heap(keys: dict[str, int]) -> LazyHeap[str]:
    made: LazyHeap[str] = LazyHeap(lambda item: (keys[item], item))
    for item in keys:
        made.add(item)
    return made


def drain(made: LazyHeap[str]) -> list[str]:
    items = []
    while (item := made.top()) is not None:
        items.append(item)
        made.discard(item)
    return items


def test_an_empty_heap_has_no_top() -> None:
    assert heap({}).top() is None


def test_the_top_stays_in() -> None:
    made = heap({"a": 1})
    assert made.top() == "a"
    assert made.top() == "a"
    assert len(made) == 1


def test_items_come_out_as_sorted_would_give_them() -> None:
    random = Random(1)  # noqa: S311  # reproducible, and no secret
    keys = {f"item-{n}": random.randrange(50) for n in range(300)}
    assert sorted(keys, key=lambda i: (keys[i], i)) == drain(heap(keys))


def test_a_key_that_has_grown_moves_its_item_back() -> None:
    keys = {"a": 1, "b": 2, "c": 3}
    made = heap(keys)
    keys["a"] = 10
    assert ["b", "c", "a"] == drain(made)


def test_a_key_that_has_fallen_counts_once_it_is_added_again() -> None:
    keys = {"a": 5, "b": 2}
    made = heap(keys)
    keys["a"] = 1
    made.add("a")
    assert ["a", "b"] == drain(made)


def test_adding_again_does_not_double_an_item() -> None:
    made = heap({"a": 1})
    made.add("a")
    assert len(made) == 1
    assert ["a"] == drain(made)


def test_a_discarded_item_is_gone_and_may_return() -> None:
    made = heap({"a": 1, "b": 2})
    made.discard("a")
    assert "a" not in made
    assert made.top() == "b"
    made.add("a")
    assert made.top() == "a"


def test_discarding_a_stranger_is_harmless() -> None:
    made = heap({"a": 1})
    made.discard("nobody")
    assert list(made) == ["a"]


def test_stale_entries_are_swept() -> None:
    keys = {"a": 1, "b": 2}
    made = heap(keys)
    for _ in range(100 * STALE):
        made.add("a")
    assert len(made._entries) <= 2 * len(made) + STALE + 1
    assert ["a", "b"] == drain(made)


@pytest.mark.parametrize("seed", range(8))
def test_after_any_history_the_top_is_the_minimum(seed: int) -> None:
    random = Random(seed)  # noqa: S311  # reproducible, and no secret
    keys = {f"item-{n}": random.randrange(100) for n in range(20)}
    made = heap(keys)
    for _ in range(500):
        item = random.choice(list(keys))
        match random.randrange(4):
            case 0:
                made.discard(item)
            case 1:
                keys[item] = random.randrange(100)
                made.add(item)
            case _:
                keys[item] += random.randrange(10)  # grows on its own
        expected = min(made, key=lambda i: (keys[i], i), default=None)
        assert expected == made.top()


def test_renewing_bounds_is_cheap_when_few_keys_grow() -> None:
    looks = 0
    keys = {f"item-{n:04}": n for n in range(1000)}

    def key(item: str) -> tuple[int, str]:
        nonlocal looks
        looks += 1
        return keys[item], item

    made: LazyHeap[str] = LazyHeap(key)
    for item in keys:
        made.add(item)
    looks = 0
    keys["item-0000"] = 5000
    assert made.top() == "item-0001"
    assert looks == 2
