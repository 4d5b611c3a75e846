"""A backend that is right, and how to make it wrong in one way at a time.

It keeps members by slot and what they have computed in a pool of blocks, and what it
says depends on everything it reads there. So a slot, a block, a position or a token
that is wrong changes what it says.
"""

from collections.abc import Iterable

import anyio
import attrs

from fairq import (
    BlockId,
    Capacity,
    Chunk,
    Enter,
    RequestId,
    StepPlan,
    StepResult,
)

SMALL = Capacity(
    blocks=20, block_size=4, max_sequences=5, tokens_per_step=16, prefix_cache=True
)


@attrs.define
class Member:
    """A sequence in the batch."""

    request_id: RequestId
    slot: int
    tokens: list[int]
    blocks: list[BlockId]


class Provoked(Exception):
    """A step that was made to fail."""


class Good:
    """Keeps every obligation. ``fail_next`` makes the next step raise."""

    def __init__(self, capacity: Capacity = SMALL) -> None:
        self.capacity = capacity
        self.pool = [0] * (capacity.blocks * capacity.block_size)
        self.members: dict[int, Member] = {}
        self.slots: dict[RequestId, int] = {}
        self.closed = 0
        self.fail_next = False

    def step(self, plan: StepPlan) -> StepResult:
        return self.run(plan)

    def run(self, plan: StepPlan) -> StepResult:
        if self.fail_next:
            self.fail(plan)
        self.change(plan)
        tokens = self.compute(plan)
        return self.answer(plan, tokens)

    def fail(self, plan: StepPlan) -> None:
        self.fail_next = False
        raise Provoked(plan.step_id)

    def change(self, plan: StepPlan) -> None:
        self.leave(plan.leave)
        self.grow(plan)
        for enter in plan.enter:
            self.enter(enter)

    def leave(self, ids: Iterable[RequestId]) -> None:
        for id_ in ids:
            del self.members[self.slots.pop(id_)]

    def grow(self, plan: StepPlan) -> None:
        for id_, block in plan.grow:
            self.of(id_).blocks.append(block)

    def enter(self, enter: Enter) -> None:
        if enter.slot in self.members:
            msg = f"slot {enter.slot} is taken"
            raise RuntimeError(msg)
        tokens, blocks = list(enter.tokens), list(enter.blocks)
        self.slots[enter.request_id] = enter.slot
        self.members[enter.slot] = Member(enter.request_id, enter.slot, tokens, blocks)

    def of(self, id_: RequestId) -> Member:
        return self.members[self.slots[id_]]

    def compute(self, plan: StepPlan) -> dict[RequestId, int]:
        tokens = {id_: self.decode(id_) for id_ in plan.decodes}
        for chunk in plan.chunks:
            said = self.work(chunk)
            if chunk.samples:
                tokens[chunk.request_id] = said
        for id_, token in tokens.items():
            self.of(id_).tokens.append(token)
        return tokens

    def decode(self, id_: RequestId) -> int:
        return self.positions(id_, len(self.of(id_).tokens) - 1, 1)

    def work(self, chunk: Chunk) -> int:
        return self.positions(chunk.request_id, chunk.start, chunk.length)

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        """Write positions, then read all there are."""
        member, said = self.of(id_), 7
        for position in range(start, start + length):
            self.pool[self.place(member, position)] = member.tokens[position]
        for position in range(start + length):
            said = (31 * said + self.pool[self.place(member, position)] + 1) % 997
        return said

    def place(self, member: Member, position: int) -> int:
        size = self.capacity.block_size
        return member.blocks[position // size] * size + position % size

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(plan.step_id, tokens)

    def close(self) -> None:
        self.closed += 1
        self.pool.clear()


def provoke(backend: object) -> None:
    """Make the next step of a ``Good`` raise."""
    assert isinstance(backend, Good)
    backend.fail_next = True


class GoodLoop(Good):
    """The same as a coroutine."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # the other kind of backend
        await anyio.lowlevel.checkpoint()
        return self.run(plan)


class GoodCallable(Good):
    """With a step that is an object, which is awaited when called."""

    class Step:
        """Runs a step of somebody."""

        def __init__(self, backend: Good) -> None:
            self._backend = backend

        async def __call__(self, plan: StepPlan) -> StepResult:
            return self._backend.run(plan)

    def __init__(self, capacity: Capacity = SMALL) -> None:
        super().__init__(capacity)
        self.step = self.Step(self)  # type: ignore[method-assign, assignment]  # as above
