"""One state of a small world: a kernel, its backend's batch, and what is left to do."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import attrs

from fairq import (
    Admission,
    Events,
    FinishReason,
    Idle,
    Kernel,
    Request,
    RequestId,
    StepPlan,
    StepResult,
)
from property_tests.models import BatchModel, ModelRequest
from property_tests.programs import sampled
from property_tests.worlds.world import (
    TENANTS,
    Cancel,
    Commit,
    Fail,
    Move,
    Plan,
    SmallWorld,
    Submit,
)


@attrs.define(eq=False)
class State:
    """Where a path has led."""

    script: list[list[Request]]
    """What each tenant will ask."""
    kernel: Kernel
    model: BatchModel
    """The batch as a backend derives it from plans, checking each of them."""
    asked: list[int]
    """How much of that it has asked."""
    cancels: int
    """How often something may still be cancelled."""
    failures: int
    """How often a step may still fail."""
    patience: int
    """Failed steps in a row that a request survives."""
    executed: dict[str, int]
    """Service by tenant, by the model, since the kernel began to count it."""
    failed: dict[RequestId, int]
    """Failed steps in a row, by request."""

    @property
    def outstanding(self) -> StepPlan | None:
        """The plan that must be answered: the very one that the kernel made."""
        draft = self.kernel._draft
        return None if draft is None else draft.plan

    # --- what can be done here ------------------------------------------------------

    def moves(self, *, stops: bool = True) -> list[Move]:
        """Every legal call; the one of a driver that meets no fault comes first."""
        moves: list[Move] = []
        plan = self.outstanding
        live = self.model.live()
        if plan is not None:
            moves += self._commits(plan, stops=stops)
            if self.failures:
                moves.append(Fail())
        elif live:
            moves.append(Plan())
        for asked, requests in zip(self.asked, self.script, strict=True):
            moves += [Submit(request) for request in requests[asked : asked + 1]]
        if self.cancels:
            moves += [Cancel(RequestId(id_)) for id_ in live]
        return moves

    def _commits(self, plan: StepPlan, *, stops: bool) -> list[Move]:
        subsets: list[tuple[RequestId, ...]] = [()]
        for id_ in tokens_of(self.model, plan) if stops else ():
            subsets += [(*subset, id_) for subset in subsets]
        return [Commit(subset) for subset in subsets]

    # --- doing it -------------------------------------------------------------------

    def do(self, move: Move) -> StepPlan | Events | None:
        """Make a call; what came of it is checked against the model."""
        # A running maximum for reports only. Cleared, it tells of this call alone.
        self.kernel._life.counters.largest_commitment = 0
        self.kernel._life.counters.largest_prepaid = 0
        answer: StepPlan | Events | None = None
        match move:
            case Submit():
                self._submit(move.request)
            case Cancel():
                answer = self._cancel(move.request_id)
            case Plan():
                answer = self._plan()
            case Commit():
                answer = self._commit(move.stopped)
            case Fail():
                answer = self._fail()
        for name in TENANTS:
            # Who is forgotten and comes back is counted anew.
            if name not in self.kernel._life.counters.tenants:
                self.executed[name] = 0
        return answer

    def _submit(self, request: Request) -> None:
        self.asked[TENANTS.index(request.tenant)] += 1
        model = ModelRequest(request.tenant, list(request.prompt), request.max_tokens)
        model.arriving = self.outstanding is not None
        self.model.requests[self.kernel.submit(request)] = model

    def _cancel(self, request_id: RequestId) -> Events:
        self.cancels -= 1
        events = self.kernel.cancel(request_id)
        self._finish(events, {request_id: FinishReason.CANCELLED})
        assert not self.kernel.cancel(request_id)
        return events

    def _plan(self) -> StepPlan:
        before = self.model.live()
        plan = self.kernel.plan()
        assert not isinstance(plan, Idle), f"{len(before)} live, and {plan}"
        self.model.check_plan(plan)
        check_order(self.model, plan)
        return plan

    def _commit(self, stopped: tuple[RequestId, ...]) -> Events:
        plan = self._take_plan()
        tokens = tokens_of(self.model, plan)
        members, victims = members_of(plan), self.model.victims(plan)
        for name, service in self.model.apply(plan, tokens).items():
            self.executed[name] += service
        expected = self._expected_ends(tokens, stopped)
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        assert events.tokens is tokens
        for id_ in members:
            self.failed.pop(id_, None)
        self._finish(events, expected)
        self._check_preempted(victims, events)
        self.model.answered()
        return events

    def _fail(self) -> Events:
        plan = self._take_plan()
        self.failures -= 1
        expected = {}
        for id_ in members_of(plan):
            self.failed[id_] = self.failed.get(id_, 0) + 1
            if self.failed[id_] > self.patience and self.model.requests[id_].live:
                expected[id_] = FinishReason.FAILED
        victims = self.model.victims(plan)
        self.model.fail(plan)
        events = self.kernel.fail(plan.step_id)
        assert not events.tokens
        self._check_preempted(victims, events)
        self._finish(events, expected)
        self.model.answered()
        return events

    def _check_preempted(self, victims: list[int], events: Events) -> None:
        """Whoever was thrown out is told so, unless nobody wants it any more."""
        thrown_out = [id_ for id_ in victims if self.model.requests[id_].live]
        assert thrown_out == list(events.preempted)
        if self.kernel._policy.admission is Admission.RESERVE:
            assert not thrown_out

    def _take_plan(self) -> StepPlan:
        plan = self.outstanding
        assert plan is not None
        return plan

    def _expected_ends(
        self, tokens: dict[RequestId, int], stopped: tuple[RequestId, ...]
    ) -> dict[RequestId, FinishReason]:
        ends = {}
        for id_ in tokens:
            model = self.model.requests[id_]
            if model.live and id_ in stopped:
                ends[id_] = FinishReason.STOP
            elif model.live and len(model.outputs) == model.max_tokens:
                ends[id_] = FinishReason.LENGTH
        return ends

    def _finish(self, events: Events, expected: dict[RequestId, FinishReason]) -> None:
        """Each request is reported once, for the right reason, with all its tokens."""
        assert expected == {end.request_id: end.reason for end in events.finished}
        assert len(expected) == len(events.finished)
        for end in events.finished:
            model = self.model.requests[end.request_id]
            assert end.output_tokens == len(model.outputs)
            model.live = False
            self.failed.pop(end.request_id, None)


def tokens_of(model: BatchModel, plan: StepPlan) -> dict[RequestId, int]:
    """What the backend produces: which one of which request, so a wrong one shows."""
    return {id_: 100 * id_ + len(model.requests[id_].outputs) for id_ in sampled(plan)}


def members_of(plan: StepPlan) -> list[RequestId]:
    """Everybody for whom the step computes something."""
    return [*plan.decodes, *(chunk.request_id for chunk in plan.chunks)]


def check_order(model: BatchModel, plan: StepPlan) -> None:
    """Whoever enters is the oldest of its tenant that waits."""
    queue = [id_ for id_, request in model.live().items() if request.slot is None]
    for enter in plan.enter:
        tenant = model.requests[enter.request_id].tenant
        older = [id_ for id_ in queue if model.requests[id_].tenant == tenant]
        assert older[0] == enter.request_id
        queue.remove(enter.request_id)


# --- copies -------------------------------------------------------------------------


Reduced = tuple[Callable[..., object], tuple[object, ...]]


class Nursery:
    """Makes states of one world, and copies of them: bytes, and states from bytes.

    What never changes (policy, capacity, requests) is shared by all states and stands
    in the bytes as a number.
    """

    def __init__(self, world: SmallWorld) -> None:
        self.world = world
        self._script = world.requests()
        kernel = world.kernel()
        self._shared: list[object] = [
            kernel._policy,
            kernel._policy.discipline,
            kernel._capacity,
            *(request for requests in self._script for request in requests),
        ]
        numbers = {id(each): number for number, each in enumerate(self._shared)}
        self._reducers: dict[type, Callable[[Any], Reduced]] = {
            type(each): lambda shared: (_shared, (numbers[id(shared)],))
            for each in self._shared
        }
        self._names: dict[tuple[str, str], object] = {
            (__name__, _shared.__name__): self._shared.__getitem__
        }
        self._first = self.freeze(self._begin(kernel))

    def first(self) -> State:
        """Nothing has been asked."""
        return self.thaw(self._first)

    def _begin(self, kernel: Kernel) -> State:
        world = self.world
        model = BatchModel(world.blocks, world.block_size, world.slots, world.tokens)
        return State(
            script=self._script,
            kernel=kernel,
            model=model,
            asked=[0 for _ in self._script],
            cancels=world.cancels,
            failures=world.failures,
            patience=world.max_failures,
            executed=dict.fromkeys(TENANTS, 0),
            failed={},
        )

    def freeze(self, state: State) -> bytes:
        """A state as bytes."""
        file = io.BytesIO()
        pickler = pickle.Pickler(file, 5)
        pickler.dispatch_table = self._reducers
        _, *rest = attrs.astuple(state, recurse=False)
        pickler.dump(rest)
        return file.getvalue()

    def thaw(self, frozen: bytes) -> State:
        """A state from bytes; it shares nothing that changes with any other."""
        return State(self._script, *_Unpickler(frozen, self._names).load())


def _shared(number: int) -> object:
    """Stands in the bytes for what is shared; never called."""
    raise NotImplementedError(number)


class _Unpickler(pickle.Unpickler):
    """Looks names up once."""

    def __init__(self, frozen: bytes, names: dict[tuple[str, str], object]) -> None:
        super().__init__(io.BytesIO(frozen))
        self._names = names

    def find_class(self, module: str, name: str, /) -> object:
        found = self._names.get((module, name))
        if found is None:
            found = self._names[module, name] = super().find_class(module, name)
        return found
