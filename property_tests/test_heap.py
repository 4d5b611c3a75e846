"""The heap of lower bounds finds the minimum, although keys grow behind its back."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from fairq.kernel._heap import STALE, LazyHeap


class HeapMachine(RuleBasedStateMachine):
    """Items with keys that grow; a sorted list says who is first."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[int, int] = {}
        """All items ever made; the keys of those in the heap."""
        self.inside: dict[int, None] = {}
        self.looks = 0
        self.heap: LazyHeap[int] = LazyHeap(self.key)

    def key(self, name: int) -> tuple[int, int]:
        self.looks += 1
        return (self.keys[name], name)

    @rule(target=names, count=st.integers(1, 6), key=st.integers(0, 50))
    def make(self, count: int, key: int) -> Any:  # noqa: ANN401  # hypothesis types it so
        """New items, not in the heap yet."""
        fresh = range(len(self.keys), len(self.keys) + count)
        self.keys.update(dict.fromkeys(fresh, key))
        return multiple(*fresh)

    @rule(name=names)
    def add(self, name: int) -> None:
        self.heap.add(name)
        self.inside[name] = None

    @rule(name=names)
    def discard(self, name: int) -> None:
        self.heap.discard(name)
        self.inside.pop(name, None)

    @rule(name=consumes(names))
    def forget(self, name: int) -> None:
        """It is never heard of again."""
        self.discard(name)

    @rule(name=names, growth=st.integers(0, 60))
    def grow(self, name: int, growth: int) -> None:
        """Its key grows, and nobody tells the heap."""
        self.keys[name] += growth

    @rule(growth=st.integers(1, 5))
    def grow_all(self, growth: int) -> None:
        """As when everybody decodes."""
        for name in self.keys:
            self.keys[name] += growth * (name % 3)

    @rule(name=names, fall=st.integers(1, 60))
    def fall(self, name: int, fall: int) -> None:
        """Its key falls: whoever lets it fall adds it again."""
        self.keys[name] -= fall
        self.add(name)

    @precondition(lambda self: self.inside)
    @rule(times=st.integers(1, 200))
    def add_the_first_again_and_again(self, times: int) -> None:
        """As when one tenant is admitted from in every step."""
        for _ in range(times):
            first = self.heap.top()
            assert first is not None
            self.heap.discard(first)
            self.heap.add(first)

    @rule(name=names, times=st.integers(1, 300))
    def add_again_and_again(self, name: int, times: int) -> None:
        """As when a tenant that is not first has refund after refund."""
        for _ in range(times):
            self.add(name)

    @rule()
    def look_twice(self) -> None:
        """The second look finds the bound exact, and asks for one key."""
        first = self.heap.top()
        self.looks = 0
        assert first == self.heap.top()
        assert self.looks <= 1

    @invariant()
    def the_top_is_the_smallest(self) -> None:
        order = sorted(self.inside, key=lambda name: (self.keys[name], name))
        expected = order[0] if order else None
        assert expected == self.heap.top()

    @invariant()
    def it_holds_what_was_put_in(self) -> None:
        assert len(self.inside) == len(self.heap)
        assert sorted(self.inside) == sorted(self.heap)
        assert all((name in self.inside) == (name in self.heap) for name in self.keys)

    @invariant()
    def stale_entries_are_swept(self) -> None:
        # A discard leaves an entry behind, and only add() sweeps.
        assert len(self.heap._entries) <= 2 * max(len(self.keys), 1) + STALE + 1


HeapMachine.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 2), stateful_step_count=40
)
TestHeap = HeapMachine.TestCase
