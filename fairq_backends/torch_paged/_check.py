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

    @property
    def positions(self) -> int:
        """Positions that all blocks together have room for."""
        return self.capacity.blocks * self.capacity.block_size


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
    grown: set[RequestId] = attrs.field(factory=set)
    arrivals: dict[RequestId, Sequence] = attrs.field(factory=dict)
    taken: set[int] = attrs.field(factory=set)
    """Slots that are not free. Only asked for members, never iterated."""
    computed: dict[RequestId, int] = attrs.field(factory=dict)
    held: set[int] = attrs.field(factory=set)
    """In debug mode, blocks that belong to somebody. Only asked for members."""

    def run(self) -> Seq[Sequence]:
        """Check everything; the sequences that join.

        Raises:
            BackendError: the plan cannot be carried out; the message names the request.
        """
        for request_id in self.plan.leave:
            self._leave(request_id)
        if self.batch.pool.debug:
            self.held = {b for each in self._all_staying() for b in each.blocks}
        for request_id, block in self.plan.grow:
            self._grow(request_id, block)
        if self.plan.enter:
            self.taken = {each.slot for each in self._all_staying()}
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
        if request_id in self.grown:
            self._fail(request_id, "grows by one block in a plan at most; got two")
        self._table(request_id, (block,), len(sequence.blocks) + 1)
        if block in sequence.blocks:
            self._fail(request_id, f"needs another block to grow; got {block} again")
        self._claim(request_id, (block,))
        self.grown.add(request_id)

    def _enter(self, enter: Enter) -> None:
        name = enter.request_id
        if name in self.arrivals or self._stays(name):
            self._fail(name, "must not be in the batch to enter; it is")
        self._slot(name, enter.slot)
        self._lengths(enter)
        self._table(name, enter.blocks, len(enter.blocks))
        self._claim(name, enter.blocks[enter.cached // self._block_size :])
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
        if not 0 < enter.prompt_length <= known:
            got = enter.prompt_length
            self._fail(name, f"needs prompt_length in 1..{known}; got {got}")
        size = self._block_size
        if enter.cached % size:
            # The rest of the last block would be written, where others read.
            whole = f"needs cached to be whole blocks of {size}"
            self._fail(name, f"{whole}; got {enter.cached}")
        room = len(enter.blocks) * size
        if room < known:
            self._fail(name, f"needs blocks for {known} tokens; got room for {room}")

    def _table(self, name: RequestId, blocks: Seq[BlockId], count: int) -> None:
        last = self.limits.capacity.blocks - 1
        if not 0 <= min(blocks) <= max(blocks) <= last:
            self._fail(name, f"needs block ids in the pool, 0..{last}; got {blocks}")
        if count > self.limits.most_blocks:
            most = f"{self.limits.most_blocks} blocks, the model's context"
            self._fail(name, f"can have at most {most}; got {count}")
        if len(set(blocks)) < len(blocks):
            self._fail(name, f"needs a table without repetition; got {blocks}")

    def _claim(self, name: RequestId, blocks: Seq[BlockId]) -> None:
        """In debug mode nobody shares, so that what is claimed is nobody's."""
        if self.batch.pool.debug:
            twice = self.held.intersection(blocks)
            if twice:
                self._fail(name, f"needs blocks of nobody; got {sorted(twice)}")
            self.held.update(blocks)

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

    def _all_staying(self) -> list[Sequence]:
        sequences = self.batch.sequences
        return [sequences[name] for name in sequences.keys() - self.gone.keys()]

    @property
    def _block_size(self) -> int:
        return self.limits.capacity.block_size

    def _stays(self, request_id: RequestId) -> bool:
        return request_id in self.batch.sequences and request_id not in self.gone

    def _decodes(self) -> None:
        expected = dict.fromkeys(self.batch.order).keys() - self.gone.keys()
        if self.plan.decodes.ids() != expected:
            extra = sorted(self.plan.decodes.ids() ^ expected)
            msg = f"must decode exactly if it drew a token and did not leave: {extra}"
            self._fail(extra[0], msg)
        if self.batch.pool.debug:
            for request_id in sorted(expected):
                self._room(request_id)

    def _room(self, request_id: RequestId) -> None:
        """In debug mode: a decode beyond the table would write into the zero block."""
        sequence = self.batch.sequences[request_id]
        blocks = len(sequence.blocks) + (request_id in self.grown)
        room, position = blocks * self._block_size, self.batch.tick - sequence.origin
        if position >= room:
            what = f"decodes position {position} and needs a block for it"
            self._fail(request_id, f"{what}; its table has room for {room}")

    def _fail(self, request_id: RequestId, what: str) -> NoReturn:
        refuse(f"Request {request_id} {what}.", self.plan.step_id)
