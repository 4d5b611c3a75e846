"""A heap of lower bounds: keys that grow on their own are looked at only at the top.

The virtual counter of a tenant grows with every step in which one of its requests
decodes. Sorting tenants anew each step would cost O(tenants). Here an entry keeps the
key it had when it was last looked at; since keys only grow, that is a lower bound, and
an entry whose bound is not the smallest cannot be the minimum. ``top`` renews bounds
until the entry on top is exact. A key that has fallen must be added again.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, Final, Generic, TypeVar

Item = TypeVar("Item")
# Any: keys of one heap compare with one another, which typing cannot say simply.
Key = Any

STALE: Final = 64
"""Stale entries are swept when they outnumber the items by more than this."""


class LazyHeap(Generic[Item]):
    """Items by growing keys; keys must be unique, or ties depend on history.

    Args:
        key: The current key of an item; called O(log n) times per ``top``, amortised.
    """

    __slots__ = ("_current", "_entries", "_key", "_pushes")

    def __init__(self, key: Callable[[Item], Key]) -> None:
        self._key = key
        self._entries: list[tuple[Key, int, Item]] = []
        self._current: dict[Item, int] = {}
        self._pushes = 0

    def __len__(self) -> int:
        return len(self._current)

    def __contains__(self, item: object) -> bool:
        return item in self._current

    def __iter__(self) -> Iterator[Item]:
        return iter(self._current)

    def add(self, item: Item) -> None:
        """Put an item in, or put it right after its key has fallen. O(log n)."""
        self._pushes += 1
        self._current[item] = self._pushes
        heappush(self._entries, (self._key(item), self._pushes, item))
        if len(self._entries) > 2 * len(self._current) + STALE:
            self._sweep()

    def discard(self, item: Item) -> None:
        """Take an item out, if it is in. O(1)."""
        self._current.pop(item, None)

    def top(self) -> Item | None:
        """The item with the smallest key, which stays in; None when empty."""
        entries = self._entries
        while entries:
            bound, number, item = entries[0]
            if self._current.get(item) != number:
                heappop(entries)
                continue
            key = self._key(item)
            if key <= bound:
                return item
            heapreplace(entries, (key, number, item))
        return None

    def _sweep(self) -> None:
        current = self._current
        self._entries = [e for e in self._entries if current.get(e[2]) == e[1]]
        heapify(self._entries)
