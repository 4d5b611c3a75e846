"""Backends that are right as long as no two requests begin alike."""

from collections.abc import Iterable

from fairq import BlockId, Chunk, Enter, RequestId, StepPlan
from fairq.testing._backend import _obligations as owed
from fairq.testing._obligations import Obligation
from tests.testing.backends import Good


class Clears(Good):
    """Knows how to clear a block, so that what was in it is lost."""

    def clear(self, blocks: Iterable[BlockId]) -> None:
        size = self.capacity.block_size
        for block in blocks:
            self.pool[block * size : (block + 1) * size] = [0] * size


class ForgetsTheLeaving(Clears):
    """Clears the blocks of those who leave, whoever else begins with them."""

    def leave(self, ids: Iterable[RequestId]) -> None:
        gone = list(ids)
        self.clear(block for id_ in gone for block in self.of(id_).blocks)
        super().leave(gone)


class CountsHolders(Clears):
    """Clears a block when nobody has it any more: nothing is left to be found."""

    def leave(self, ids: Iterable[RequestId]) -> None:
        gone = [self.of(id_) for id_ in ids]
        super().leave(member.request_id for member in gone)
        held = {block for each in self.members.values() for block in each.blocks}
        self.clear(block for each in gone for block in each.blocks if block not in held)


class ForgetsItsOutputs(Clears):
    """Keeps the prompts of those who leave, but not what they said."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: dict[RequestId, int] = {}

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        self.prompts[enter.request_id] = enter.prompt_length

    def leave(self, ids: Iterable[RequestId]) -> None:
        gone = list(ids)
        for id_ in gone:
            kept = self.prompts[id_] // self.capacity.block_size
            self.clear(self.of(id_).blocks[kept:])
        super().leave(gone)


class ClearsAllItGets(Clears):
    """Clears the whole table of whoever enters."""

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        self.clear(enter.blocks)


class ClearsByTokens(Clears):
    """Clears what is new in a table, but takes ``cached`` for a number of blocks."""

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        kept = enter.cached // self.capacity.block_size
        self.clear(enter.blocks[kept - 1 if kept else 0 :])


class BeginsAtZero(Good):
    """Has computed nothing of those who enter, and goes on from there."""

    def __init__(self) -> None:
        super().__init__()
        self.cached: dict[RequestId, int] = {}

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        self.cached[enter.request_id] = enter.cached

    def work(self, chunk: Chunk) -> int:
        start = chunk.start - self.cached[chunk.request_id]
        return self.positions(chunk.request_id, start, chunk.length)


class Scribbles(Good):
    """Leaves a mark where the cached part ends, for the next who reads it."""

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        if enter.cached:
            self.pool[self.place(self.of(enter.request_id), enter.cached - 1)] += 1


class OneHolder(Good):
    """Refuses a block that is in another table."""

    def enter(self, enter: Enter) -> None:
        held = {block for each in self.members.values() for block in each.blocks}
        taken = held.intersection(enter.blocks)
        if taken:
            msg = f"blocks {sorted(taken)} are taken"
            raise RuntimeError(msg)
        super().enter(enter)


class SharesForEver(Good):
    """Reads a shared prefix where it was once, also when a member comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[RequestId, tuple[BlockId, ...]] = {}

    def change(self, plan: StepPlan) -> None:
        super().change(plan)
        for shared in plan.shared:
            self.runs.update(dict.fromkeys(shared.members, shared.blocks))
        for enter in plan.enter:
            run = self.runs.get(enter.request_id, ())
            self.of(enter.request_id).blocks[: len(run)] = run


class SharesWithTheFirst(Good):
    """Takes all shared prefixes of a plan for one."""

    def change(self, plan: StepPlan) -> None:
        super().change(plan)
        for shared in plan.shared:
            for id_ in shared.members:
                self.of(id_).blocks[0] = plan.shared[0].blocks[0]


class ClearsWhatFailed(Clears):
    """Clears all that a failed step was to use."""

    def fail(self, plan: StepPlan) -> None:
        self.clear(block for enter in plan.enter for block in enter.blocks)
        super().fail(plan)


BAD_SHARING: dict[type[Good], tuple[Obligation, str]] = {
    ForgetsTheLeaving: (owed.SHARED, "as it does alone"),
    CountsHolders: (owed.SHARED, "as it does alone"),
    ForgetsItsOutputs: (owed.SHARED, "as it does alone"),
    ClearsAllItGets: (owed.SHARED, "as it does alone"),
    ClearsByTokens: (owed.SHARED, "as it does alone"),
    BeginsAtZero: (owed.SHARED, "as it does alone"),
    Scribbles: (owed.SHARED, "as it does alone"),
    OneHolder: (owed.SHARED, "are taken"),
    SharesForEver: (owed.SHARED, "as it does alone"),
    SharesWithTheFirst: (owed.SHARED, "as it does alone"),
    ClearsWhatFailed: (owed.FAILED, "as it does alone"),
}
"""What each of them breaks, and what it is told."""
