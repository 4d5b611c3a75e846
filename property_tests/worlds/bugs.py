"""Kernels with a planted bug, each with a world that is large enough to show it."""

from collections.abc import Callable, Iterable

import attrs
import pytest

from fairq import Admission, RequestId
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._draft import Draft
from fairq.kernel._kernel import Kernel
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._newcomers import Newcomers
from fairq.kernel._ranks import Choice
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.kernel._tenant import Tenant
from fairq.plan import BlockId, StepResult
from property_tests.worlds.world import SmallWorld


@attrs.frozen
class Bug:
    """Something planted."""

    world: SmallWorld
    plant: Callable[[pytest.MonkeyPatch], None]
    shortest: int
    """Calls until it shows."""
    refusals: int = 16
    """Illegal calls are tried in one of so many states."""


SMALL = SmallWorld(asks=(((2, 2),), ((1, 2),)), blocks=3, tokens=1, failures=1)
FULL = SmallWorld(asks=(((2, 2),),), blocks=3, admission=Admission.RESERVE)
GROWING = SmallWorld(asks=(((1, 3),), ((1, 3),)), blocks=4, margin=0)
FAILING = attrs.evolve(GROWING, failures=1, max_failures=1)
QUEUES = SmallWorld(asks=(((3, 1), (1, 1)), ((1, 1),)), blocks=3, tokens=1)
RETURNING = SmallWorld(
    asks=(((2, 1), (2, 1), (2, 1)), ((2, 1), (2, 1))),
    blocks=4,
    sequences=1,
    cancels=0,
    stops=False,
)
CROWDED = SmallWorld(
    asks=(((1, 3), (1, 2), (1, 3)), ((1, 1), (1, 3))),
    blocks=3,
    admission=Admission.RESERVE,
    cancels=0,
    stops=False,
)


def leak_a_block(patch: pytest.MonkeyPatch) -> None:
    def give_back(self: BlockLedger, blocks: Iterable[BlockId]) -> None:
        self._free.extend(tuple(blocks)[1:])

    patch.setattr(BlockLedger, "give_back", give_back)


def lose_a_slot(patch: pytest.MonkeyPatch) -> None:
    def abandon(self: Draft) -> None:
        for entry in reversed(self.entries):
            self._life.tables.revoke(entry.sequence, entry.grant)
        self._life.ledger.give_back(self.grown)

    patch.setattr(Draft, "abandon", abandon)


def lose_refunds(patch: pytest.MonkeyPatch) -> None:
    def refund(self: VirtualCounters, tenant: Tenant, prompt: int) -> None:
        del self
        tenant.prepaid -= prompt

    patch.setattr(VirtualCounters, "refund", refund)


def refund_behind_the_heap(patch: pytest.MonkeyPatch) -> None:
    def refund(self: VirtualCounters, tenant: Tenant, prompt: int) -> None:
        del self
        tenant.prompt_tokens -= prompt
        tenant.prepaid -= prompt

    patch.setattr(VirtualCounters, "refund", refund)


def never_fill_the_pool(patch: pytest.MonkeyPatch) -> None:
    right = Newcomers._try

    def try_(self: Newcomers, tenant: Tenant, choice: Choice) -> bool:
        needed = self._life.ledger.blocks_for(choice.sequence.known + 1)
        return needed < self._draft.available and right(self, tenant, choice)

    patch.setattr(Newcomers, "_try", try_)


def undo_preemptions(patch: pytest.MonkeyPatch) -> None:
    """As fairq did, until prefixes were shared: victims of a failed step went on.

    Their blocks had been given to others by then, who may have written to them.
    """
    kept: dict[RequestId, list[BlockId]] = {}
    right = Draft.preempt

    def preempt(self: Draft, sequence: Sequence) -> None:
        kept[sequence.id] = list(sequence.blocks)
        right(self, sequence)

    def abandon(self: Draft) -> None:
        ledger = self._life.ledger
        for entry in reversed(self.entries):
            self._life.tables.revoke(entry.sequence, entry.grant)
            self._life.batch.give_back_slot(entry.slot)
        ledger.give_back(self.grown)
        for sequence in self.preempted:
            sequence.blocks = kept[sequence.id]
            ledger._free = [b for b in ledger._free if b not in sequence.blocks]

    patch.setattr(Draft, "preempt", preempt)
    patch.setattr(Draft, "abandon", abandon)


def keep_the_cancelled(patch: pytest.MonkeyPatch) -> None:
    def end_cancelled(self: Kernel) -> None:
        self._cancelled.clear()

    patch.setattr(Kernel, "_end_cancelled", end_cancelled)


def lift_nobody(patch: pytest.MonkeyPatch) -> None:
    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self.backlogged.add(tenant)

    patch.setattr(VirtualCounters, "join", join)


def charge_again(patch: pytest.MonkeyPatch) -> None:
    def unpaid(self: Sequence) -> int:
        waits = self.phase is Phase.WAITING
        return self.prompt_length - self.prepaid if waits else 0

    patch.setattr(Sequence, "unpaid", property(unpaid))


def forget_the_other_queue(patch: pytest.MonkeyPatch) -> None:
    def answered(self: Lifecycle) -> None:
        for tenant in self.arriving:
            if tenant.waiting and not tenant.running:
                self.counters.join(tenant)
        self.arriving.clear()

    patch.setattr(Lifecycle, "answered", answered)


def take_any_answer(patch: pytest.MonkeyPatch) -> None:
    def check_answer(draft: Draft, result: StepResult) -> None:
        """Accept it."""

    patch.setattr("fairq.kernel._kernel.check_answer", check_answer)


def leave_after_everybody(patch: pytest.MonkeyPatch) -> None:
    """As fairq did, until somebody tried to prove the lift."""

    def unqueue(self: Lifecycle, sequence: Sequence) -> None:
        tenant = sequence.tenant
        del tenant.waiting[sequence.id]
        if not tenant.waiting:
            self.counters.leave(tenant)

    def answered(self: Lifecycle) -> None:
        joining = []
        for tenant, first in self.arriving.items():
            if tenant.waiting and next(iter(tenant.waiting)) >= first:
                joining.append(tenant)
        self.arriving.clear()
        for tenant in joining:
            self.counters.leave(tenant)
        for tenant in joining:
            self.counters.join(tenant)

    patch.setattr(Lifecycle, "_unqueue", unqueue)
    patch.setattr(Lifecycle, "answered", answered)


BUGS: dict[str, Bug] = {
    "a block leaks": Bug(SMALL, leak_a_block, 3),
    "a failed step keeps a slot": Bug(SMALL, lose_a_slot, 3),
    "refunds are lost": Bug(SMALL, lose_refunds, 4),
    "a refund does not move the heap": Bug(QUEUES, refund_behind_the_heap, 5),
    "the pool is never filled": Bug(FULL, never_fill_the_pool, 2),
    "a failed step undoes its preemptions": Bug(FAILING, undo_preemptions, 8),
    "the cancelled are kept": Bug(SMALL, keep_the_cancelled, 4),
    "nobody is lifted": Bug(RETURNING, lift_nobody, 8),
    "who is preempted pays again": Bug(GROWING, charge_again, 10),
    "any answer is taken": Bug(SMALL, take_any_answer, 2, refusals=1),
    "who runs and arrives gets no turn": Bug(QUEUES, forget_the_other_queue, 4),
    "who arrives during a step is measured against itself": Bug(
        CROWDED, leave_after_everybody, 15
    ),
}
