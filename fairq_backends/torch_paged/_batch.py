"""The standing batch on the host: who is in it, and how a plan changes it.

A plan is applied before the step is computed, because the step needs its tables; if the
step fails it is taken back.
"""

import traceback
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Seq
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor

from fairq import BlockId, Chunk, RequestId, StepPlan
from fairq_backends.torch_paged._errors import is_out_of_memory
from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._sequence import Sequence
from fairq_backends.torch_paged._standing import Standing

__all__ = ["Batch"]


@attrs.define(eq=False)
class Batch:
    """Every sequence that entered and did not leave."""

    standing: Standing
    pool: KvPool
    sequences: dict[RequestId, Sequence] = attrs.field(factory=dict)
    order: list[RequestId] = attrs.field(factory=list)
    """Who decodes, in the order of joining. Replaced, never changed in place."""
    slots: Tensor = attrs.field(init=False)
    """(B,) int64: their slots. Replaced together with ``order``."""
    tick: int = 0
    """Steps answered so far."""
    _least_origin: int = 0
    """Of those who decode: their longest context is the tick less this."""
    _stale: bool = False
    """Whether the slots on the device are not those of ``sequences``."""

    def __attrs_post_init__(self) -> None:
        self._reorder([])

    @contextmanager
    def changed(self, plan: StepPlan, arrivals: Seq[Sequence]) -> Iterator[None]:
        """The batch with leave, grow and enter applied; taken back on an error."""
        if self._stale:
            self._place_all()
        kept = self.sequences, self.order, self.slots, self._least_origin
        self.sequences = dict(self.sequences)
        grown: list[Sequence] = []
        try:
            self._leave(plan.leave)
            for request_id, block in plan.grow:
                grown.append(self._grow(self.sequences[request_id], block))
            for sequence in arrivals:
                self._enter(sequence)
            yield
        except BaseException as error:
            if is_out_of_memory(error):
                # What was computed so far hangs on the frames of the error, and the
                # kernel keeps that: without this the retry had less memory still.
                traceback.clear_frames(error.__traceback__)
            for sequence in grown:
                sequence.blocks.pop()
            self.sequences, self.order, self.slots, self._least_origin = kept
            self._take_back(plan, arrivals)
            raise

    def _take_back(self, plan: StepPlan, arrivals: Seq[Sequence]) -> None:
        """What a plan changed beside the fields of this class."""
        # Should memory be out even for this, the next plan begins with it.
        self._stale = True
        arrived = {each.request_id for each in arrivals}
        self._wipe([each for each in plan.chunks if each.request_id not in arrived])
        self._release_claimed(plan, arrivals)
        self._place_all()

    def _place_all(self) -> None:
        for sequence in self.sequences.values():
            self.standing.place(sequence)
        self._stale = False

    def _wipe(self, chunks: Seq[Chunk]) -> None:
        """Zero what a failed step wrote behind the computed positions of who stays.

        It may be NaN, and a shorter chunk reads it as masked: 0 times NaN is NaN. Who
        arrived claims its blocks anew; a decode writes its position before it reads.
        """
        size = self.pool.keys.shape[3]
        for chunk in chunks:
            sequence = self.sequences[chunk.request_id]
            first, offset = divmod(sequence.computed, size)
            end = -(-(chunk.start + chunk.length) // size)
            self.pool.wipe(sequence.blocks[first:end], offset)

    def layout(self, chunks: Seq[Chunk], padded: Callable[[int], int]) -> StepLayout:
        """The rows of a step. O(chunks) on the host; decodes are one gather."""
        spans, drawn = self._spans(chunks)
        device = self.slots.device
        prompts = [
            self.sequences[chunk.request_id].tokens[chunk.start :][: chunk.length]
            for chunk in chunks
        ]
        rows = len(self.order) + sum(chunk.length for chunk in chunks)
        blank = torch.zeros(padded(rows) - rows, dtype=torch.int64, device=device)
        chunk_tokens = _joined(prompts).to(device)
        chunk_positions = _positions(spans).to(device)
        last, lengths = self.standing.last[self.slots], self.standing.lengths
        sampled = torch.tensor([row for row, _ in drawn], dtype=torch.int64)
        sample_slots = torch.tensor([slot for _, slot in drawn], dtype=torch.int64)
        decoded = torch.arange(len(self.order), device=device)
        return StepLayout(
            tokens=torch.cat([last, chunk_tokens, blank]),
            positions=torch.cat([lengths[self.slots], chunk_positions, blank]),
            decode_slots=self.slots,
            spans=spans,
            sample_rows=torch.cat([decoded, sampled.to(device)]),
            sample_slots=torch.cat([self.slots, sample_slots.to(device)]),
            longest=self.tick - self._least_origin + 1 if self.order else 0,
            padding=len(blank),
        )

    def advance(self, chunks: Seq[Chunk], layout: StepLayout, drawn: Tensor) -> None:
        """The step was computed: chunks are done, and those that drew decode now.

        If it raises, nothing of that has happened.
        """
        joining = [chunk.request_id for chunk in chunks if chunk.samples]
        for request_id in joining:
            sequence = self.sequences[request_id]
            sequence.origin = self.tick + 1 - sequence.known
        if joining:
            self._reorder([*self.order, *joining])
        positions = layout.positions[layout.sample_rows]
        self.standing.advance(layout.sample_slots, positions, drawn)
        # From here on nothing fails.
        self.tick += 1
        for chunk in chunks:
            self.sequences[chunk.request_id].computed = chunk.start + chunk.length

    def _spans(
        self, chunks: Seq[Chunk]
    ) -> tuple[tuple[Span, ...], list[tuple[int, int]]]:
        """The chunks as rows; and row and slot of each that yields a token."""
        spans, drawn, row = [], [], len(self.order)
        for chunk in chunks:
            slot = self.sequences[chunk.request_id].slot
            spans.append(Span(slot, chunk.start, chunk.length, row))
            row += chunk.length
            if chunk.samples:
                drawn.append((row - 1, slot))
        return tuple(spans), drawn

    def _leave(self, leave: Seq[RequestId]) -> None:
        if not leave:
            return
        gone = {request_id: self.sequences.pop(request_id) for request_id in leave}
        self._reorder([each for each in self.order if each not in gone])
        for sequence in gone.values():
            self.standing.sampling.clear(sequence.slot)
        self._release([block for each in gone.values() for block in each.blocks])

    def _release_claimed(self, plan: StepPlan, arrivals: Seq[Sequence]) -> None:
        """What a plan that is taken back claimed."""
        entered = [block for each in arrivals for block in self._claimed(each)]
        self._release([*(block for _, block in plan.grow), *entered])

    def _release(self, blocks: Seq[int]) -> None:
        """Those of these blocks belong to nobody that no sequence holds."""
        if self.pool.debug:
            held = {block for each in self.sequences.values() for block in each.blocks}
            self.pool.release([block for block in blocks if block not in held])

    def _grow(self, sequence: Sequence, block: BlockId) -> Sequence:
        self.pool.claim((block,))
        self.standing.write_block(sequence.slot, len(sequence.blocks), block)
        sequence.blocks.append(block)
        return sequence

    def _enter(self, sequence: Sequence) -> None:
        self.sequences[sequence.request_id] = sequence
        self.standing.place(sequence)
        self.pool.claim(self._claimed(sequence))

    def _claimed(self, arrival: Sequence) -> list[BlockId]:
        """Its blocks but the cached ones, which others may have and nobody clears."""
        block_size = self.pool.keys.shape[3]
        return arrival.blocks[arrival.computed // block_size :]

    def _reorder(self, order: list[RequestId]) -> None:
        decoding = [self.sequences[request_id] for request_id in order]
        slots = torch.tensor([each.slot for each in decoding], dtype=torch.int64)
        self.order, self.slots = order, slots.to(self.standing.tables.device)
        self._least_origin = min((each.origin for each in decoding), default=0)


def _joined(prompts: Seq[Tensor]) -> Tensor:
    if not prompts:
        return torch.zeros(0, dtype=torch.int64)
    return torch.cat(list(prompts)).long()


def _positions(spans: Seq[Span]) -> Tensor:
    if not spans:
        return torch.zeros(0, dtype=torch.int64)
    return torch.cat([torch.arange(s.start, s.start + s.length) for s in spans])
