"""Pairs of states with the same key, reached by different calls; and what they do."""

from collections.abc import Iterable

import attrs

from fairq import Events, StepPlan
from property_tests.worlds.explorer import Explorer
from property_tests.worlds.key import Key
from property_tests.worlds.state import Nursery, State
from property_tests.worlds.world import Cancel, Commit, Fail, Move, Plan, Submit


@attrs.define
class TwinFinder(Explorer):
    """Explores, and keeps some of the pairs that the key says are the same."""

    rate: int = attrs.field(default=1, kw_only=True)
    """A pair of one in so many states is kept, and at most one of each state."""
    enough: int = attrs.field(default=10**9, kw_only=True)
    """Most pairs that are kept."""
    full: Key | None = attrs.field(default=None, kw_only=True)
    """Keep only pairs that this other key tells apart."""
    pairs: list[tuple[bytes, bytes]] = attrs.field(factory=list, init=False)
    _firsts: dict[bytes, bytes] = attrs.field(factory=dict, init=False)

    def found(self, digest: bytes, frozen: bytes) -> None:
        if digest[1] % self.rate == 0:
            self._firsts[digest] = frozen

    def met(self, digest: bytes, state: State) -> None:
        first = self._firsts.get(digest)
        if first is None or len(self.pairs) >= self.enough:
            return
        if self.full is not None:
            known = self.full.digest(self.nursery.thaw(first))
            if known == self.full.digest(state):
                return
        self.pairs.append((first, self.nursery.freeze(state)))
        del self._firsts[digest]


# --- what one sees, with the requests by their names in the world -------------------


def tag(state: State, id_: int) -> int:
    return state.model.requests[id_].prompt[0] // 10


def tags(state: State, ids: Iterable[int]) -> list[int]:
    return [tag(state, id_) for id_ in ids]


def named(state: State, move: Move) -> object:
    match move:
        case Submit():
            return "submit", move.request.sampling
        case Cancel():
            return "cancel", tag(state, move.request_id)
        case Commit():
            return "commit", tags(state, move.stopped)
        case Plan() | Fail():
            return str(move)


def seen(state: State, answer: StepPlan | Events | None) -> object:
    """An answer without the names of blocks and slots.

    Nor does it tell who left because it was over: that is told once to the backend, and
    the key has no memory of it.
    """
    match answer:
        case StepPlan():
            live = [id_ for id_ in answer.leave if state.model.requests[id_].live]
            enter = [(e.request_id, len(e.tokens), len(e.blocks)) for e in answer.enter]
            return (
                tags(state, live),
                tags(state, [id_ for id_, _ in answer.grow]),
                [(tag(state, id_), *sizes) for id_, *sizes in enter],
                [(tag(state, c.request_id), c.start, c.length) for c in answer.chunks],
                tags(state, answer.decodes),
            )
        case Events():
            ends = [(e.request_id, e.reason, e.output_tokens) for e in answer.finished]
            return (
                tags(state, answer.tokens),
                [(tag(state, id_), *how) for id_, *how in ends],
                tags(state, answer.preempted),
            )
        case None:
            return None


# --- doing the same to both ---------------------------------------------------------


@attrs.frozen
class Twins:
    """Two states that are said to be the same."""

    nursery: Nursery
    one: bytes
    other: bytes

    def states(self) -> tuple[State, State]:
        return self.nursery.thaw(self.one), self.nursery.thaw(self.other)

    def choices(self) -> int:
        """How many calls can be made; -1 when it is not the same for both."""
        one, other = self.states()
        mine = [named(one, move) for move in one.moves()]
        return len(mine) if mine == [named(other, m) for m in other.moves()] else -1

    def do(self, which: int) -> "Twins | None":
        """Make the same call in both; None when they do not answer alike."""
        one, other = self.states()
        answer = seen(one, one.do(one.moves()[which]))
        if answer != seen(other, other.do(other.moves()[which])):
            return None
        return Twins(self.nursery, self.nursery.freeze(one), self.nursery.freeze(other))

    def same(self, key: Key) -> bool:
        """Whether a key says that they are the same."""
        one, other = self.states()
        return key.of(one) == key.of(other)

    def alike(self, depth: int) -> bool:
        """Whether they answer alike, whatever is done in so many calls and then left.

        After those calls a driver goes on without faults until nothing is left.
        """
        choices = self.choices()
        if choices <= 0:
            return choices == 0
        for which in range(choices if depth else 1):
            after = self.do(which)
            if after is None or not after.alike(max(0, depth - 1)):
                return False
        return True
