"""Tries every order of calls in a small world, breadth first, each state once.

Breadth first, so that the first path to a broken state is a shortest one.
"""

import time
from array import array
from collections.abc import Callable
from traceback import extract_tb
from typing import Final

import attrs

from fairq import Admission
from property_tests.worlds.checks import Bounds, check_refusals, check_state, in_full
from property_tests.worlds.key import Key
from property_tests.worlds.state import Nursery, State
from property_tests.worlds.world import Commit, Move, Plan, SmallWorld

NOWHERE: Final = -1
"""The state after the driver's next call, where there is none."""
ON_THE_WAY: Final = -2
"""How many calls are left is being found out."""
OFTEN: Final = 10.0
"""Seconds between two lines of progress."""


@attrs.frozen
class Fault:
    """A state in which something does not hold, and a shortest path to it."""

    calls: tuple[str, ...]
    error: str

    def __str__(self) -> str:
        return "\n".join([*self.calls, "----", self.error])


@attrs.frozen
class Explored:
    """What there is in a world."""

    states: int
    depth: int
    """Most calls on a shortest path to a state."""
    calls: int
    """Calls tried: the edges of the graph."""
    longest: int
    """Most steps until nothing is left, when nothing interferes."""
    preempting: int
    """States with an outstanding plan that preempts."""
    closest: float
    """The largest part of the gate's bound that was used."""
    seconds: float
    fault: Fault | None


@attrs.define
class Explorer:
    """One exploration.

    Args:
        world: What is explored.
        key: When two states are the same.
        checks: Whether states are checked, or only whether they are stuck.
        refusals: Illegal calls are tried in one of so many states.
        most: Give up after so many states, as wrong kernels can have very many.
        tell: Gets a line of progress now and then.
    """

    world: SmallWorld
    key: Key = Key()  # noqa: RUF009  # it is frozen
    checks: bool = True
    refusals: int = 16
    most: int = 10**9
    tell: Callable[[str], None] | None = None

    nursery: Nursery = attrs.field(init=False)
    bounds: Bounds = attrs.field(init=False)
    _seen: dict[bytes, int] = attrs.field(factory=dict, init=False)
    """The number of each state, by its key."""
    _parent: "array[int]" = attrs.field(factory=lambda: array("i"), init=False)
    _call: "array[int]" = attrs.field(factory=lambda: array("H"), init=False)
    """The call that led to each state; a number of ``_calls``."""
    _calls: dict[Move | None, int] = attrs.field(factory=dict, init=False)
    _next: "array[int]" = attrs.field(factory=lambda: array("i"), init=False)
    """For each state, where the next call of a driver without faults leads."""
    _work: "array[int]" = attrs.field(factory=lambda: array("H"), init=False)
    """For each state, the positions that its requests still need, at most."""
    _layer: list[tuple[int, bytes]] = attrs.field(factory=list, init=False)
    _edges: int = attrs.field(default=0, init=False)
    _depth: int = attrs.field(default=0, init=False)
    _preempting: int = attrs.field(default=0, init=False)
    _began: float = attrs.field(factory=time.perf_counter, init=False)
    _told: float = attrs.field(factory=time.perf_counter, init=False)

    def __attrs_post_init__(self) -> None:
        self.nursery = Nursery(self.world)
        self.bounds = Bounds(self.world)

    def explore(self) -> Explored:
        """Everything that can be reached, or the way to the first fault."""
        first = self.nursery.first()
        self._note(first, self.key.digest(first), NOWHERE, None)
        fault = None
        while self._layer and fault is None and len(self._seen) < self.most:
            layer, self._layer = self._layer, []
            fault = self._expand_all(layer)
            self._depth += bool(self._layer)
        longest, stuck = (0, None) if fault or self._layer else self._drain()
        return Explored(
            states=len(self._seen),
            depth=self._depth,
            calls=self._edges,
            longest=longest,
            preempting=self._preempting,
            closest=self.bounds.closest,
            seconds=time.perf_counter() - self._began,
            fault=fault or stuck,
        )

    # --- the graph ------------------------------------------------------------------

    def _expand_all(self, layer: list[tuple[int, bytes]]) -> Fault | None:
        for number, frozen in layer:
            fault = self._expand(number, frozen)
            if fault is not None:
                return fault
            self._report(len(layer))
        return None

    def _expand(self, number: int, frozen: bytes) -> Fault | None:
        """Make every call in a state."""
        state = self.nursery.thaw(frozen)
        for index, move in enumerate(state.moves(stops=self.world.stops)):
            if index:
                state = self.nursery.thaw(frozen)
            self._edges += 1
            try:
                known = self._call_one(number, state, move)
            except Exception as error:  # noqa: BLE001  # a wrong kernel raises anything
                return self._fault(number, described(error), move)
            if isinstance(move, Plan) or move == Commit():
                self._next[number] = known
        return None

    def _call_one(self, number: int, state: State, move: Move) -> int:
        """Make one call, and find out where it leads."""
        state.do(move)
        if self.checks:
            check_state(state, self.bounds)
        digest = self.key.digest(state)
        known = self._seen.get(digest)
        if known is None:
            return self._note(state, digest, number, move)
        self.met(digest, state)
        return known

    def _note(self, state: State, digest: bytes, parent: int, move: Move | None) -> int:
        """A state that is new."""
        number = self._seen[digest] = len(self._seen)
        self._parent.append(parent)
        self._call.append(self._calls.setdefault(move, len(self._calls)))
        self._next.append(NOWHERE)
        self._work.append(work_left(state))
        draft = state.kernel._draft
        self._preempting += draft is not None and bool(draft.preempted)
        frozen = self.nursery.freeze(state)
        self._layer.append((number, frozen))
        self.found(digest, frozen)
        if self.checks and digest[0] % self.refusals == 0:
            check_refusals(state, in_full(state.kernel))
        return number

    def found(self, digest: bytes, frozen: bytes) -> None:
        """A new state was found; for those who watch."""

    def met(self, digest: bytes, state: State) -> None:
        """A known state was reached in another way; for those who watch."""

    # --- stuck states ---------------------------------------------------------------

    def _drain(self) -> tuple[int, Fault | None]:
        """Follow each state until nothing is left; the most steps that takes.

        A driver without faults plans and commits in turn, so two calls are a step.
        """
        left = array("i", [NOWHERE]) * len(self._next)
        for start in range(len(left)):
            path = self._until_known(start, left)
            if path is None:
                return 0, self._fault(start, "It is never done: plan and commit cycle.")
            for number in reversed(path):
                after = self._next[number]
                left[number] = 0 if after == NOWHERE else left[after] + 1
            if left[start] // 2 > self._work[start] + self._again():
                return 0, self._fault(start, f"It takes {left[start] // 2} steps more.")
        return max(left) // 2, None

    def _until_known(self, start: int, left: "array[int]") -> list[int] | None:
        """The states from one on to the last whose end is not known; None: a cycle."""
        path: list[int] = []
        number = start
        while number != NOWHERE and left[number] == NOWHERE:
            left[number] = ON_THE_WAY
            path.append(number)
            number = self._next[number]
        return None if number != NOWHERE and left[number] == ON_THE_WAY else path

    def _again(self) -> int:
        """Positions that may be computed again: a token pays for two preemptions."""
        world = self.world
        if world.admission is Admission.RESERVE:
            return 0
        tokens = sum(outputs for asks in world.asks for _, outputs in asks)
        return 2 * tokens * world.blocks * world.block_size

    # --- telling --------------------------------------------------------------------

    def path(self, number: int) -> list[str]:
        """The calls that lead to a state, as a transcript."""
        calls = list(self._calls)
        moves: list[str] = []
        while self._parent[number] != NOWHERE:
            moves.append(str(calls[self._call[number]]))
            number = self._parent[number]
        return [str(self.world), *reversed(moves)]

    def _fault(self, number: int, error: str, move: Move | None = None) -> Fault:
        last = [] if move is None else [str(move)]
        return Fault((*self.path(number), *last), error)

    def _report(self, width: int) -> None:
        now = time.perf_counter()
        if self.tell is None or now - self._told < OFTEN:
            return
        self._told = now
        states = len(self._seen)
        rate = states / (now - self._began)
        self.tell(f"depth {self._depth} ({width} wide): {states} states, {rate:.0f}/s")


def work_left(state: State) -> int:
    """Positions the live requests need: the last token is never fed back."""
    live = state.model.live().values()
    return sum(len(r.prompt) + r.max_tokens - 1 - r.computed for r in live)


def described(error: Exception) -> str:
    """What went wrong, and which line says so."""
    where = extract_tb(error.__traceback__)[-1]
    problem, *_ = str(error).split(" This is a bug in fairq")
    return f"{type(error).__name__} in {where.name}: {problem or where.line}"
