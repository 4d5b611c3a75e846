"""The standing batch, changed by plans that were checked before.

A decode costs one entry of one dict; sums, full tables and ends are kept up to date by
changes only. Time is counted in *ticks*, the steps answered so far, because every
member computes one token in each of them.
"""

from collections.abc import Iterable

import attrs

from fairq import BlockId, Chunk, RequestId, StepPlan
from fairq_backends.simulated._calendar import Calendar
from fairq_backends.simulated._model import StepLoad
from fairq_backends.simulated._pool import Pool
from fairq_backends.simulated._sequence import Sequence
from fairq_backends.simulated._tokens import STRIDE, VOCABULARY


@attrs.define(eq=False)
class Batch:
    """Every sequence that entered and did not leave."""

    pool: Pool
    sequences: dict[RequestId, Sequence] = attrs.field(factory=dict)
    phases: dict[RequestId, int] = attrs.field(factory=dict)
    """Who decodes, in the order of joining; with where its tokens stand."""
    slots: set[int] = attrs.field(factory=set)
    """Slots that are taken. Only asked for members, never iterated."""
    over: dict[RequestId, None] = attrs.field(factory=dict)
    """Who was answered as stopped, and so must leave with the next plan."""
    full: Calendar = attrs.field(factory=Calendar)
    """When the table of a decoding sequence is too short for its next position."""
    ends: Calendar = attrs.field(factory=Calendar)
    """When a decoding sequence yields its last token."""
    tick: int = 0
    context: int = 0
    """Sum of the contexts of all who decode."""

    def change(self, plan: StepPlan, arrivals: Iterable[Sequence]) -> None:
        """Apply leave, grow and enter, in this order."""
        for request_id in plan.leave:
            self._remove(request_id)
        for request_id, block in plan.grow:
            self._extend(self.sequences[request_id], block)
        for sequence in arrivals:
            self.sequences[sequence.request_id] = sequence
            self.pool.enter(sequence, sequence.computed // self.pool.block_size)
            self.slots.add(sequence.slot)

    def compute(
        self, chunks: tuple[Chunk, ...]
    ) -> tuple[dict[RequestId, int], tuple[RequestId, ...]]:
        """One step: the tokens, and whose token was the last."""
        shift = STRIDE * self.tick % VOCABULARY
        phases = self.phases.items()
        tokens = {member: (phase + shift) % VOCABULARY for member, phase in phases}
        stopped = list(self.ends.due(self.tick))
        self.tick += 1
        self.context += len(self.phases)
        for chunk in chunks:
            sequence = self.sequences[chunk.request_id]
            sequence.computed = chunk.start + chunk.length
            if chunk.samples:
                tokens[sequence.request_id] = sequence.first_token
                self._join(sequence)
                if sequence.first_is_last:
                    stopped.append(sequence.request_id)
        self.over = dict.fromkeys(stopped)
        return tokens, tuple(stopped)

    def load(self, plan: StepPlan) -> StepLoad:
        """The work of a plan that was applied with ``change``. O(changes)."""
        decodes = len(self.phases)
        chunks = plan.chunks
        return StepLoad(
            tokens=decodes + sum(each.length for each in chunks),
            sampled=decodes + sum(each.samples for each in chunks),
            decode_context=self.context,
            prefill_pairs=sum(c.length * (c.start + c.length / 2) for c in chunks),
            prefills=bool(chunks),
        )

    def _join(self, sequence: Sequence) -> None:
        sequence.origin = sequence.known - self.tick
        sequence.decodes = True
        self.phases[sequence.request_id] = sequence.phase
        self.context += sequence.known
        self.full.book(sequence.full_at(self.pool.block_size), sequence.request_id)
        if sequence.ends_at is not None:
            self.ends.book(sequence.ends_at, sequence.request_id)

    def _extend(self, sequence: Sequence, block: BlockId) -> None:
        decodes = sequence.request_id in self.phases
        if decodes:
            self.full.cancel(
                sequence.full_at(self.pool.block_size), sequence.request_id
            )
        sequence.blocks.append(block)
        self.pool.grow(sequence, block)
        if decodes:
            self.full.book(sequence.full_at(self.pool.block_size), sequence.request_id)

    def _remove(self, request_id: RequestId) -> None:
        sequence = self.sequences.pop(request_id)
        self.pool.leave(sequence.blocks)
        self.slots.remove(sequence.slot)
        if self.phases.pop(request_id, None) is None:
            return
        sequence.computed = sequence.context(self.tick)
        sequence.decodes = False
        self.context -= sequence.computed
        self.full.cancel(sequence.full_at(self.pool.block_size), request_id)
        if sequence.ends_at is not None:
            self.ends.cancel(sequence.ends_at, request_id)
