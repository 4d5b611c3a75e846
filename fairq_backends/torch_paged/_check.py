"""Refuses plans that the executor cannot carry out, before anything is changed."""

from collections.abc import Sequence as Seq
from typing import NoReturn

import attrs

from fairq import BlockId, Capacity, Chunk, Enter, RequestId, StepPlan
from fairq_backends.sampling import SamplingParams
from fairq_backends.torch_paged._batch import Batch
from fairq_backends.torch_paged._errors import NAME, refuse
from fairq_backends.torch_paged._sequence import Sequence

__all__ = ["Limits", "PlanCheck"]


@attrs.frozen(kw_only=True)
class Limits:
    """What a plan must keep within."""

    capacity: Capacity
    vocab_size: int
    context_length: int

    @property
    def most_blocks(self) -> int:
        """Blocks of the longest table."""
        longest = -(-self.context_length // self.capacity.block_size)
        return min(longest, self.capacity.blocks)


@attrs.define(eq=False)
class PlanCheck:
    """One plan against the standing batch, which stays as it is. O(changes).

    It looks for what would compute nonsense or reach outside of the pool. Whether a
    scheduler keeps its books is another question; ``SimulatedBackend`` asks it.
    """

    plan: StepPlan
    batch: Batch
    limits: Limits
    gone: dict[RequestId, Sequence] = attrs.field(factory=dict)
    grown: dict[RequestId, int] = attrs.field(factory=dict)
    arrivals: dict[RequestId, Sequence] = attrs.field(factory=dict)
    taken: set[int] = attrs.field(factory=set)
    """Slots that are not free. Only asked for members, never iterated."""
    computed: dict[RequestId, int] = attrs.field(factory=dict)

    def run(self) -> Seq[Sequence]:
        """Check everything; the sequences that join.

        Raises:
            BackendError: the plan cannot be carried out; the message names the request.
        """
        for request_id in self.plan.leave:
            self._leave(request_id)
        for request_id, block in self.plan.grow:
            self._grow(request_id, block)
        if self.plan.enter:
            staying = self.batch.sequences.keys() - self.gone.keys()
            self.taken = {self.batch.sequences[name].slot for name in staying}
        for enter in self.plan.enter:
            self._enter(enter)
        for chunk in self.plan.chunks:
            self._chunk(chunk)
        self._decodes()
        return tuple(self.arrivals.values())

    def _leave(self, request_id: RequestId) -> None:
        sequence = self.batch.sequences.get(request_id)
        if sequence is None or request_id in self.gone:
            self._fail(request_id, "must be in the batch to leave; it is not")
        self.gone[request_id] = sequence

    def _grow(self, request_id: RequestId, block: BlockId) -> None:
        sequence = self._staying(request_id)
        count = len(sequence.blocks) + self.grown.get(request_id, 0) + 1
        self._table(request_id, (block,), count)
        self.grown[request_id] = self.grown.get(request_id, 0) + 1

    def _enter(self, enter: Enter) -> None:
        name = enter.request_id
        if name in self.arrivals or self._stays(name):
            self._fail(name, "must not be in the batch to enter; it is")
        self._slot(name, enter.slot)
        self._lengths(enter)
        self._table(name, enter.blocks, len(enter.blocks))
        params = SamplingParams.parse(
            enter.sampling, request_id=name, backend=NAME, step_id=self.plan.step_id
        )
        sequence = Sequence.entering(enter, params)
        highest, vocabulary = int(sequence.tokens.max()), self.limits.vocab_size
        if highest >= vocabulary:
            what = f"needs token ids in 0..{vocabulary - 1}, the model's vocabulary"
            self._fail(name, f"{what}; got {highest}")
        self.arrivals[name] = sequence

    def _slot(self, request_id: RequestId, slot: int) -> None:
        last = self.limits.capacity.max_sequences - 1
        if not 0 <= slot <= last:
            self._fail(request_id, f"needs a slot in 0..{last}; got {slot}")
        if slot in self.taken:
            self._fail(request_id, f"needs a free slot; got {slot}, which is taken")
        self.taken.add(slot)

    def _lengths(self, enter: Enter) -> None:
        name, known = enter.request_id, len(enter.tokens)
        longest = self.limits.context_length
        if known >= longest:
            what = f"needs fewer tokens than the model's context of {longest}"
            self._fail(name, f"{what}; got {known}. Shorten the prompt")
        if not 0 <= enter.cached < known:
            self._fail(name, f"needs 0 <= cached < {known}; got {enter.cached}")
        room = len(enter.blocks) * self.limits.capacity.block_size
        if room < known:
            self._fail(name, f"needs blocks for {known} tokens; got room for {room}")

    def _table(self, name: RequestId, blocks: Seq[BlockId], count: int) -> None:
        last = self.limits.capacity.blocks - 1
        if not 0 <= min(blocks) <= max(blocks) <= last:
            self._fail(name, f"needs block ids in the pool, 0..{last}; got {blocks}")
        if count > self.limits.most_blocks:
            most = f"{self.limits.most_blocks} blocks, the model's context"
            self._fail(name, f"can have at most {most}; got {count}")

    def _chunk(self, chunk: Chunk) -> None:
        name = chunk.request_id
        sequence = self.arrivals.get(name) or self._staying(name)
        start = self.computed.get(name, sequence.computed)
        end = chunk.start + chunk.length
        if chunk.start != start or not start < end <= sequence.known:
            span = f"start at {start} and end in {start + 1}..{sequence.known}"
            self._fail(name, f"needs a chunk to {span}; got {chunk}")
        if chunk.samples != (end == sequence.known):
            self._fail(name, f"samples at its end, {sequence.known}; got {chunk}")
        self.computed[name] = end

    def _staying(self, request_id: RequestId) -> Sequence:
        if not self._stays(request_id):
            self._fail(request_id, "must be in the batch; it is not")
        return self.batch.sequences[request_id]

    def _stays(self, request_id: RequestId) -> bool:
        return request_id in self.batch.sequences and request_id not in self.gone

    def _decodes(self) -> None:
        expected = dict.fromkeys(self.batch.order).keys() - self.gone.keys()
        if self.plan.decodes.ids() != expected:
            extra = sorted(self.plan.decodes.ids() ^ expected)
            msg = f"must decode exactly if it drew a token and did not leave: {extra}"
            self._fail(extra[0], msg)

    def _fail(self, request_id: RequestId, what: str) -> NoReturn:
        refuse(f"Request {request_id} {what}.", self.plan.step_id)
