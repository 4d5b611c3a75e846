"""What drives a kernel in tests: a backend that believes nothing, and a loop.

``Witness`` keeps its own batch from what plans say and checks each plan against it.
It knows nothing of fairness; it knows what a backend could not execute.
"""

from collections import Counter
from collections.abc import Sequence

import attrs

from fairq import (
    BlockId,
    Capacity,
    Chunk,
    DecodeSet,
    Enter,
    Events,
    FinishReason,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    TokenIds,
)


def prompt(length: int, first: int = 1) -> TokenIds:
    return TokenIds(range(first, first + length))


def request(tenant: str = "a", length: int = 4, max_tokens: int = 4) -> Request:
    return Request(tenant=tenant, prompt=prompt(length), max_tokens=max_tokens)


def token(request_id: int, number: int) -> int:
    """The token a sequence produces; a pure function, so a repeated one shows."""
    return 1000 * (request_id + 1) + number


@attrs.define
class Member:
    """A sequence as the backend sees it."""

    slot: int
    tokens: list[int]
    blocks: list[BlockId]
    computed: int = 0


class Witness:
    """A backend that checks what it is told, and makes up tokens."""

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.members: dict[RequestId, Member] = {}
        self.produced: dict[RequestId, list[int]] = {}
        self.positions = 0

    def execute(
        self, plan: StepPlan, stopped: tuple[RequestId, ...] = ()
    ) -> StepResult:
        self._change_batch(plan)
        self._check_tables()
        tokens = {id_: self._decode(id_) for id_ in plan.decodes}
        for chunk in plan.chunks:
            if self._compute(chunk):
                tokens[chunk.request_id] = self._sample(chunk.request_id)
        self._check_decodes(plan)
        self.positions += plan.tokens
        return StepResult(plan.step_id, tokens, stopped)

    def _change_batch(self, plan: StepPlan) -> None:
        for request_id in plan.leave:
            del self.members[request_id]
        for request_id, block in plan.grow:
            self.members[request_id].blocks.append(block)
        for enter in plan.enter:
            self._enter(enter)

    def _enter(self, enter: Enter) -> None:
        assert enter.request_id not in self.members
        produced = self.produced.setdefault(enter.request_id, [])
        assert produced == list(enter.tokens[enter.prompt_length :])
        assert enter.cached == 0
        self.members[enter.request_id] = Member(
            enter.slot, list(enter.tokens), list(enter.blocks)
        )

    def _check_tables(self) -> None:
        blocks = Counter(b for member in self.members.values() for b in member.blocks)
        assert blocks.most_common(1)[0][1] == 1, "a block is in two tables"
        assert 0 <= min(blocks)
        assert max(blocks) < self.capacity.blocks
        slots = sorted(member.slot for member in self.members.values())
        assert slots == sorted(set(slots)), "two members share a slot"
        assert slots[-1] < self.capacity.max_sequences

    def _position(self, member: Member) -> None:
        """There is a block for the position that is computed next."""
        assert member.computed < len(member.blocks) * self.capacity.block_size
        member.computed += 1

    def _decode(self, request_id: RequestId) -> int:
        member = self.members[request_id]
        assert member.computed == len(member.tokens) - 1
        self._position(member)
        return self._sample(request_id)

    def _compute(self, chunk: Chunk) -> bool:
        member = self.members[chunk.request_id]
        assert chunk.start == member.computed
        assert chunk.length >= 1
        for _ in range(chunk.length):
            self._position(member)
        assert chunk.samples == (member.computed == len(member.tokens))
        return chunk.samples

    def _sample(self, request_id: RequestId) -> int:
        produced = self.produced[request_id]
        new = token(request_id, len(produced))
        produced.append(new)
        self.members[request_id].tokens.append(new)
        return new

    def _check_decodes(self, plan: StepPlan) -> None:
        chunked = {chunk.request_id for chunk in plan.chunks}
        assert len(chunked) == len(plan.chunks)
        assert not chunked & plan.decodes
        for request_id in plan.decodes:
            assert plan.decodes.slot(request_id) == self.members[request_id].slot


def frozen(plan: StepPlan) -> StepPlan:
    """A copy whose decodes do not follow the kernel."""
    slots = {id_: plan.decodes.slot(id_) for id_ in plan.decodes}
    return attrs.evolve(plan, decodes=DecodeSet(slots))


class Loop:
    """A kernel and its witness; remembers what happened."""

    def __init__(
        self, capacity: Capacity, policy: Policy | None = None, *, check: bool = True
    ) -> None:
        self.kernel = Kernel(capacity, policy)
        self.witness = Witness(capacity)
        self.check = check
        self.submitted = 0
        self.plans: list[StepPlan] = []
        self.received: dict[RequestId, list[int]] = {}
        self.finished: dict[RequestId, FinishReason] = {}
        self.first_step: dict[RequestId, int] = {}
        self.preempted: list[RequestId] = []

    def submit(
        self, tenant: str = "a", length: int = 4, max_tokens: int = 4
    ) -> RequestId:
        request_id = self.kernel.submit(request(tenant, length, max_tokens))
        self.submitted += 1
        return request_id

    def submit_many(
        self, count: int, tenant: str = "a", length: int = 4, max_tokens: int = 4
    ) -> list[RequestId]:
        return [self.submit(tenant, length, max_tokens) for _ in range(count)]

    def plan(self) -> StepPlan:
        plan = self.kernel.plan()
        assert isinstance(plan, StepPlan), f"nothing to do: {plan}"
        self._verify()
        return plan

    def answer(self, plan: StepPlan, stop: Sequence[RequestId] = ()) -> Events:
        """Execute and commit a plan; its frozen copy is in ``plans`` afterwards."""
        for chunk in plan.chunks:
            self.first_step.setdefault(chunk.request_id, len(self.plans))
        self.plans.append(frozen(plan))
        events = self.kernel.commit(self.witness.execute(plan, tuple(stop)))
        self._verify()
        self._note(events)
        return events

    def step(self, stop: Sequence[RequestId] = ()) -> StepPlan:
        self.answer(self.plan(), stop)
        return self.plans[-1]

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def run(self, most: int = 10_000) -> int:
        """Step until nothing is left; how many steps that took."""
        for count in range(most):
            if not self.live:
                return count
            self.step()
        message = f"not done after {most} steps: {self.kernel!r}"
        raise AssertionError(message)

    def cancel(self, request_id: RequestId) -> Events:
        events = self.kernel.cancel(request_id)
        self._verify()
        self._note(events)
        return events

    def fail(self, plan: StepPlan) -> Events:
        events = self.kernel.fail(plan.step_id)
        self._verify()
        self._note(events)
        return events

    @property
    def live(self) -> int:
        return self.submitted - len(self.finished)

    def _verify(self) -> None:
        if self.check:
            self.kernel.check()

    def _note(self, events: Events) -> None:
        for request_id, new in events.tokens.items():
            if request_id not in self.finished:
                self.received.setdefault(request_id, []).append(new)
        for end in events.finished:
            assert end.request_id not in self.finished, "finished twice"
            assert len(self.received.get(end.request_id, ())) == end.output_tokens
            self.finished[end.request_id] = end.reason
        self.preempted += events.preempted


def capacity(
    *, blocks: int = 64, block_size: int = 4, sequences: int = 8, tokens: int = 64
) -> Capacity:
    return Capacity(
        blocks=blocks,
        block_size=block_size,
        max_sequences=sequences,
        tokens_per_step=tokens,
    )
