"""A plan in the making: what would change, and nothing changed yet.

The draft takes blocks and slots out of their pools, because they are promised to the
backend while the plan is outstanding, and notes everything else. ``apply`` makes it
true once the plan is answered; ``abandon`` puts blocks and slots back as they were. So
a step that fails needs no undoing, but for one thing: who was preempted stays so. Its
blocks may have been given to others, and the step that failed may have written there.
"""

from collections.abc import Mapping

import attrs

from fairq.events import Share
from fairq.kernel._groups import share_charges, shared_prefixes
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.kernel._tables import Grant
from fairq.kernel._tenant import Tenant
from fairq.plan import BlockId, Chunk, DecodeSet, Enter, StepId, StepPlan
from fairq.request import RequestId


@attrs.frozen(eq=False)
class Entry:
    """A sequence that is to join, with what it gets."""

    sequence: Sequence
    slot: int
    grant: Grant
    charge: int
    """What its tenant is charged for it at once: its prompt."""

    def enter(self, block_size: int) -> Enter:
        """As the backend is told."""
        request = self.sequence.request
        return Enter(
            request_id=self.sequence.id,
            slot=self.slot,
            tokens=self.sequence.tokens(),
            prompt_length=self.sequence.prompt_length,
            blocks=tuple(self.grant.blocks),
            cached=self.grant.cached * block_size,
            sampling=request.sampling,
        )


class Draft:
    """What one step would change.

    Args:
        lifecycle: What it would change it in.
        budget: Most positions the step may compute.
    """

    __slots__ = (
        "_life",
        "budget",
        "chunks",
        "entries",
        "growing",
        "grown",
        "plan",
        "preempted",
    )

    plan: StepPlan

    def __init__(self, lifecycle: Lifecycle, budget: int) -> None:
        self._life = lifecycle
        self.budget = budget - len(lifecycle.batch.decodes)
        self.growing: list[Sequence] = []
        self.grown: list[BlockId] = []
        self.chunks: list[Chunk] = []
        self.entries: list[Entry] = []
        self.preempted: list[Sequence] = []

    # --- building -------------------------------------------------------------------

    @property
    def available(self) -> int:
        """Blocks that can still be given out in this step."""
        return self._life.ledger.available

    def preempt(self, sequence: Sequence) -> None:
        """Throw a member out; its blocks can be given to others at once."""
        self.preempted.append(sequence)
        self._life.release(sequence)
        if sequence.id in self._life.batch.decodes:
            self.budget += 1

    def grow(self, sequences: list[Sequence]) -> None:
        """Give each of them one block more. Needs as many available."""
        self.growing = sequences
        self.grown = self._life.ledger.take(len(sequences))

    def compute(self, sequence: Sequence, start: int) -> None:
        """Compute as much of a sequence's known tokens as the budget allows."""
        left = sequence.known - start
        length = min(left, self.budget)
        self.budget -= length
        self.chunks.append(Chunk(sequence.id, start, length, length == left))

    def admit(self, sequence: Sequence, grant: Grant, charge: int) -> None:
        """Let a waiting sequence in, with its first chunk.

        Args:
            sequence: Who.
            grant: Its table.
            charge: What its tenant will be charged for the prompt.
        """
        slot = self._life.batch.take_slot()
        self.entries.append(Entry(sequence, slot, grant, charge))
        self.compute(sequence, grant.cached * self._life.ledger.size)

    def seal(self, step_id: StepId) -> StepPlan:
        """The plan, to be answered."""
        leave = (*self._life.leaving, *(sequence.id for sequence in self.preempted))
        ids = [sequence.id for sequence in self.growing]
        size = self._life.ledger.size
        grants = [entry.grant for entry in self.entries]
        self.plan = StepPlan(
            step_id=step_id,
            leave=leave,
            grow=tuple(zip(ids, self.grown, strict=True)),
            enter=tuple(entry.enter(size) for entry in self.entries),
            chunks=tuple(self.chunks),
            decodes=self._decodes(),
            shared=shared_prefixes(grants, self._life.sequences),
        )
        return self.plan

    def _decodes(self) -> DecodeSet:
        batch = self._life.batch
        if not self.preempted:
            return batch.decodes
        gone = {sequence.id for sequence in self.preempted}
        slots = batch.decode_ids()
        return DecodeSet({id_: slots[id_] for id_ in slots if id_ not in gone})

    # --- who is in it ---------------------------------------------------------------

    def involves(self, sequence: Sequence) -> bool:
        """Whether a sequence is in the batch, or enters it with this plan."""
        return sequence.phase is not Phase.WAITING or any(
            entry.sequence is sequence for entry in self.entries
        )

    def members(self) -> list[RequestId]:
        """Everybody for whom this step computes something."""
        return [*self.plan.decodes, *(chunk.request_id for chunk in self.chunks)]

    def granted(self) -> list[Grant]:
        """Tables that nobody has yet, for checks."""
        return [entry.grant for entry in self.entries]

    # --- the answer -----------------------------------------------------------------

    def sampling(self) -> list[RequestId]:
        """Sequences whose chunk yields a token."""
        return [chunk.request_id for chunk in self.chunks if chunk.samples]

    def abandon(self) -> None:
        """The step failed: put back what was taken. Who was preempted has left."""
        for entry in reversed(self.entries):
            self._life.tables.revoke(entry.sequence, entry.grant)
            self._life.batch.give_back_slot(entry.slot)
        # Taken first, so given back last: the free blocks are in order again.
        self._life.ledger.give_back(self.grown)
        self._apply_preemptions()
        self._life.leaving += [sequence.id for sequence in self.preempted]

    def apply(self, tokens: Mapping[RequestId, int]) -> tuple[Share, ...]:
        """Make it true: the step has been executed and gave these tokens."""
        self._life.leaving.clear()
        self._apply_preemptions()
        shares = self._apply_admissions()
        for sequence, block in zip(self.growing, self.grown, strict=True):
            sequence.blocks.append(block)
        self._life.batch.advance(tokens)
        self._apply_chunks(tokens)
        return shares

    def _apply_preemptions(self) -> None:
        for sequence in self.preempted:
            self._life.preempt(sequence)
        if self.preempted:
            self._life.rule.preempted()

    def _apply_admissions(self) -> tuple[Share, ...]:
        """Admit, and only then measure what each tenant is committed to.

        Before the clock advances: outputs of this very step are still owed, as they
        were when the gate let the tenant through. Of the prompts only the last is new
        to the gate: it saw those before as charged.
        """
        last: dict[Tenant, int] = {}
        for entry in self.entries:
            self._life.admit(entry.sequence, entry.slot, entry.grant)
            last[entry.sequence.tenant] = entry.charge
        joined = [(entry.sequence, entry.grant) for entry in self.entries]
        shares = share_charges(joined, self._life)
        for share in shares:
            tenant = self._life.sequences[share.member].tenant
            last[tenant] += tenant.prompt_price * share.tokens
        for tenant, charge in last.items():
            self._life.counters.measure_commitment(tenant, charge)
        return shares

    def _apply_chunks(self, tokens: Mapping[RequestId, int]) -> None:
        for chunk in self.chunks:
            sequence = self._life.sequences[chunk.request_id]
            self._life.compute(sequence, chunk.start, chunk.length)
            if chunk.samples:
                self._life.sample(sequence, tokens[chunk.request_id])
        # Prompts are computed in order, and nobody enters before all are: it is one.
        for sequence in self._life.batch.prefilling.values():
            self._life.counters.measure_prepaid(sequence.tenant)
