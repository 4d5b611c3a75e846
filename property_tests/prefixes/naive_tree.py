"""The prefix cache as a list: one entry per block, found by its whole text.

No tree, no edges, no heap: everything is a look at all entries.
"""

from collections.abc import Iterator

import attrs

Text = tuple[int, ...]
Key = tuple[object, Text]
"""A namespace, and a text to the end of a block."""


@attrs.define
class Entry:
    """One block that holds the end of a text."""

    block: int
    owner: int | None = None
    """Who computes it; None when that is done."""
    used: int = 0
    """Number of the last release of a table or pin that it was part of."""


class NaiveTree:
    """All entries of one pool.

    Args:
        size: Tokens per block.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.entries: dict[Key, Entry] = {}
        self.locks: list[Key] = []
        """What tables and pins hold: texts in whole blocks, with all before them."""
        self._releases = 0

    # --- looking ----------------------------------------------------------------------

    def keys(self, namespace: object, text: Text, most: int) -> list[Key]:
        """The texts to the end of each of the first blocks."""
        return [(namespace, text[: n * self.size]) for n in range(1, most + 1)]

    def find(self, namespace: object, text: Text, most: int) -> tuple[int, int | None]:
        """Blocks that are ready, and who computes the one after them."""
        keys = self.keys(namespace, text, most)
        for depth, key in enumerate(keys):
            entry = self.entries.get(key)
            if entry is None:
                return depth, None
            if entry.owner is not None:
                return depth, entry.owner
        return most, None

    def blocks(self, namespace: object, text: Text, depth: int) -> list[int]:
        return [self.entries[key].block for key in self.keys(namespace, text, depth)]

    def is_held(self, key: Key) -> bool:
        """Whether a table or a pin goes through a block."""
        return any(begins(lock, key) for lock in self.locks)

    @property
    def held(self) -> int:
        return sum(self.is_held(key) for key in self.entries)

    @property
    def cached(self) -> int:
        return len(self.entries) - self.held

    # --- changing ---------------------------------------------------------------------

    def add(self, key: Key, block: int, owner: int | None = None) -> None:
        """A block joins, used by nobody yet."""
        assert key not in self.entries
        self.entries[key] = Entry(block, owner)

    def withdraw(self, owner: int) -> None:
        """Who computed is gone; what it has not done is nobody's."""
        unready = [key for key, each in self.entries.items() if each.owner == owner]
        for key in unready:
            del self.entries[key]

    def use(self, end: Key) -> None:
        """All blocks of a text have been released just now."""
        self._releases += 1
        for key, entry in self.entries.items():
            if begins(end, key):
                entry.used = self._releases

    def evict(self, count: int) -> list[int]:
        """The blocks that should go, in order: ends that nobody holds, oldest first."""
        gone = []
        for _ in range(count):
            key = min(self._ends(), key=lambda end: self.entries[end].used)
            gone.append(self.entries.pop(key).block)
        return gone

    def _ends(self) -> Iterator[Key]:
        for key in self.entries:
            continued = any(begins(k, key) for k in self.entries if k != key)
            if not continued and not self.is_held(key):
                yield key


def begins(longer: Key, shorter: Key) -> bool:
    """Whether one text begins with another, in the same namespace."""
    size = len(shorter[1])
    return longer[0] == shorter[0] and longer[1][:size] == shorter[1]
