"""Backends that keep something wrongly from step to step, or end wrongly."""

import threading
from collections.abc import Iterable
from typing import Any, ClassVar, cast

import anyio
import attrs

from fairq import (
    Chunk,
    Enter,
    RequestId,
    StepPlan,
    StepResult,
)
from fairq.testing._backend import _obligations as owed
from fairq.testing._obligations import Obligation
from tests.testing.backends import Good, GoodLoop


class IgnoresLeave(Good):
    """Never lets anybody go."""

    def leave(self, ids: Iterable[RequestId]) -> None:
        pass


class EntersFirst(Good):
    """Lets them in before it lets others go."""

    def change(self, plan: StepPlan) -> None:
        late = {id_: self.slots[id_] for id_ in plan.leave}
        for enter in plan.enter:
            self.members.pop(enter.slot, None)
            self.enter(enter)
        self.grow(plan)
        for id_, slot in late.items():
            del self.slots[id_]
            self.members.pop(slot, None)


class GrowsFirst(Good):
    """Gives blocks out before it takes them back."""

    def change(self, plan: StepPlan) -> None:
        taken = [block for each in self.members.values() for block in each.blocks]
        for id_, block in plan.grow:
            if block in taken:
                msg = f"block {block} for {id_} is taken"
                raise RuntimeError(msg)
        super().change(plan)


class IgnoresGrow(Good):
    """Goes on in the first block when the table is full."""

    def grow(self, plan: StepPlan) -> None:
        for id_, _ in plan.grow:
            self.of(id_).blocks.append(self.of(id_).blocks[0])


class StaleTables(Good):
    """Keeps the table of whoever comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[RequestId, list[Any]] = {}

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        member = self.of(enter.request_id)
        member.blocks = self.tables.setdefault(enter.request_id, member.blocks)


class ForgetsOutputs(Good):
    """Knows no more than the prompt of whoever comes back."""

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        produced = len(enter.tokens) - enter.prompt_length
        if produced:
            self.of(enter.request_id).tokens[-produced:] = [0] * produced


class StartsAtZero(Good):
    """Takes the first position of each chunk for position 0."""

    def work(self, chunk: Chunk) -> int:
        said = super().work(chunk)
        return said + 1 if chunk.start else said


class OffByOne(Good):
    """Reads one position too many, if there is one."""

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        said, member = super().positions(id_, start, length), self.of(id_)
        if (start + length) % self.capacity.block_size == 0:
            return said
        return (said + self.pool[self.place(member, start + length)]) % 997


class InOrder(Good):
    """What one says depends on who was before it."""

    def compute(self, plan: StepPlan) -> dict[RequestId, int]:
        tokens = super().compute(plan)
        return {id_: (t + n) % 997 for n, (id_, t) in enumerate(tokens.items())}


class BySlot(Good):
    """What one says depends on its slot."""

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        return (super().positions(id_, start, length) + self.slots[id_]) % 997


class LosesPrefilling(Good):
    """Does not let go of whoever has not said anything yet."""

    def leave(self, ids: Iterable[RequestId]) -> None:
        for id_ in ids:
            member = self.of(id_)
            if len(member.tokens) > self.begun[id_]:
                del self.members[self.slots.pop(id_)]

    def __init__(self) -> None:
        super().__init__()
        self.begun: dict[RequestId, int] = {}

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        self.begun[enter.request_id] = len(enter.tokens)


class TooSmall(Good):
    """Has one block less than it says."""

    def __init__(self) -> None:
        super().__init__()
        del self.pool[-self.capacity.block_size :]


class EmptiesOnce(Good):
    """Cannot let go of everybody at once."""

    def leave(self, ids: Iterable[RequestId]) -> None:
        gone = list(ids)
        if len(gone) > 1 and len(gone) == len(self.members):
            msg = "the batch is empty"
            raise RuntimeError(msg)
        super().leave(gone)


class Leaks(Good):
    """Keeps a little of everybody."""

    kept = 0

    def enter(self, enter: Enter) -> None:
        self.kept += 1
        if self.kept > 60:
            raise MemoryError
        super().enter(enter)


class KeepsHalf(Good):
    """Lets go, and only then fails."""

    def fail(self, plan: StepPlan) -> None:
        self.leave(plan.leave)
        super().fail(plan)


class GrowsTwice(Good):
    """Grows tables before it fails, and when the plan is repeated again."""

    def fail(self, plan: StepPlan) -> None:
        self.grow(plan)
        super().fail(plan)


class MovingCapacity(Good):
    """Finds another block now and then."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        self.capacity = attrs.evolve(self.capacity, blocks=self.capacity.blocks + 1)
        return super().answer(plan, tokens)


class Seeded(Good):
    """Says something else whenever it is made anew."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        return super().positions(id_, start, length) + self.made


class Hangs(Good):
    """Waits for somebody else at its third step."""

    def compute(self, plan: StepPlan) -> dict[RequestId, int]:
        if plan.step_id == 2:
            threading.Event().wait(20)
        return super().compute(plan)


class HangsLoop(GoodLoop):
    """The same as a coroutine."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # as above
        if plan.step_id == 2:
            await anyio.sleep(20)
        return self.run(plan)


class BlocksLoop(GoodLoop):
    """A coroutine that never lets go of its loop, so nothing on it can be asked."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # as above
        if plan.step_id == 2:
            threading.Event().wait(20)
        return self.run(plan)


class ClosesItself(Good):
    """Closes when there is nothing to do, and cannot be closed twice."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        if len(self.members) == 1 and not plan.decodes:
            self.close()
        return super().answer(plan, tokens)

    def close(self) -> None:
        if self.closed:
            msg = "closed twice"
            raise RuntimeError(msg)
        super().close()


class CannotCloseInTheMiddle(Good):
    """Wants everybody to leave first."""

    def close(self) -> None:
        if len(self.members) > 1:
            msg = "somebody is in the batch"
            raise RuntimeError(msg)
        super().close()


class AwaitedClose(GoodLoop):
    """Wants to be awaited."""

    async def close(self) -> None:  # type: ignore[override]  # that is what is wrong
        super().close()


class CountsClosing(Good):
    """Says how often it was closed."""

    def close(self) -> None:
        super().close()
        return cast("None", self.closed)


class OneLoop(GoodLoop):
    """Works with one event loop only."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # as above
        if anyio.get_cancelled_exc_class().__module__.startswith("trio"):
            msg = "no running event loop"
            raise RuntimeError(msg)
        return await super().step(plan)


class OneThread(Good):
    """Cannot be closed where another instance had its steps."""

    used: ClassVar[dict[int, int]] = {}

    def close(self) -> None:
        if threading.current_thread().name.startswith("AnyIO"):
            msg = "wrong thread"
            raise RuntimeError(msg)
        super().close()


BAD_STATES: dict[type[Good], tuple[Obligation, str]] = {
    IgnoresLeave: (owed.LEAVE_FIRST, "slot 0 is taken"),
    EntersFirst: (owed.LEAVE_FIRST, "it raised KeyError"),
    OffByOne: (owed.LEAVE_FIRST, "as it does alone"),
    GrowsFirst: (owed.BATCHED, "is taken"),
    IgnoresGrow: (owed.PREEMPTED, "as it does alone"),
    StaleTables: (owed.PREEMPTED, "IndexError"),
    ForgetsOutputs: (owed.PREEMPTED, "as it does alone"),
    StartsAtZero: (owed.CHUNKED, "as it does alone"),
    InOrder: (owed.BATCHED, "as it does alone"),
    BySlot: (owed.BATCHED, "as it does alone"),
    LosesPrefilling: (owed.CANCELLED, "is taken"),
    TooSmall: (owed.FULL, "IndexError"),
    EmptiesOnce: (owed.DRAINED, "the batch is empty"),
    Leaks: (owed.REUSED, "MemoryError"),
    KeepsHalf: (owed.FAILED, "it raised KeyError"),
    GrowsTwice: (owed.FAILED, "as it does alone"),
    MovingCapacity: (owed.CAPACITY, "now Capacity(blocks=21"),
    Seeded: (owed.REPEATED, "as it does alone"),
    ClosesItself: (owed.CLOSED, "closed twice"),
    CannotCloseInTheMiddle: (owed.CLOSED, "somebody is in the batch"),
    AwaitedClose: (owed.CLOSED, "a coroutine, which nobody awaits"),
    CountsClosing: (owed.CLOSED, "Got: 1"),
    OneLoop: (owed.SERVED, "on trio"),
    OneThread: (owed.SERVED, "wrong thread"),
}
"""What each of them breaks, and what it is told."""
