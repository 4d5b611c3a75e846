"""Refuses plans that break the step protocol, before anything is changed.

The rules are those of ``fairq.plan``. A check costs O(changes); the one comparison that
meets every member of the batch is between two key views, in C.
"""

from collections.abc import Callable, Iterable
from typing import NoReturn

import attrs

from fairq import (
    BlockId,
    Capacity,
    Chunk,
    Enter,
    RequestId,
    SharedPrefix,
    StepPlan,
)
from fairq_backends.simulated._batch import Batch
from fairq_backends.simulated._errors import ProtocolViolation
from fairq_backends.simulated._sampling import output_limit
from fairq_backends.simulated._sequence import Sequence
from fairq_backends.simulated._tokens import token_at


@attrs.define(eq=False)
class PlanCheck:
    """One plan against the standing batch, which stays as it is."""

    plan: StepPlan
    batch: Batch
    capacity: Capacity
    strict: bool

    gone: dict[RequestId, None] = attrs.field(factory=dict)
    grown: dict[RequestId, None] = attrs.field(factory=dict)
    arrivals: dict[RequestId, Sequence] = attrs.field(factory=dict)
    computed: dict[RequestId, int] = attrs.field(factory=dict)
    """Positions with KV after the chunks that were checked."""
    freed: set[BlockId] = attrs.field(factory=set)
    """Blocks that are in no table any more."""
    left: dict[BlockId, int] = attrs.field(factory=dict)
    """Of blocks in several tables, how many of those leave."""
    claimed: set[BlockId] = attrs.field(factory=set)
    """Blocks that somebody is going to fill."""
    borrowed: set[BlockId] = attrs.field(factory=set)
    """Blocks that somebody enters with as they are."""
    freed_slots: set[int] = attrs.field(factory=set)
    claimed_slots: set[int] = attrs.field(factory=set)

    def run(self) -> Iterable[Sequence]:
        """Check everything; the sequences that join.

        Raises:
            ProtocolViolation: the plan breaks the protocol; the message says where.
            BackendError: the ``sampling`` of a request cannot be understood.
        """
        for request_id in self.plan.leave:
            self._leave(request_id)
        self._stopped_are_gone()
        self._seats()
        for request_id, block in self.plan.grow:
            self._grow(request_id, block)
        for enter in self.plan.enter:
            self._enter(enter)
        for chunk in self.plan.chunks:
            self._chunk(chunk)
        self._decodes()
        self._budget()
        for prefix in self.plan.shared:
            self._shared(prefix)
        return self.arrivals.values()

    def _leave(self, request_id: RequestId) -> None:
        if request_id in self.gone:
            self._fail(f"request {request_id} leaves twice")
        sequence = self.batch.sequences.get(request_id)
        if sequence is None:
            self._fail(f"request {request_id} leaves, but it is not in the batch")
        self.gone[request_id] = None
        self.freed_slots.add(sequence.slot)
        self.freed.update(sequence.blocks)
        for block in self.batch.pool.shared(sequence.blocks):
            self.left[block] = self.left.get(block, 0) + 1
            if self.left[block] <= self.batch.pool.more[block]:
                self.freed.remove(block)

    def _stopped_are_gone(self) -> None:
        for request_id in self.batch.over:
            if request_id not in self.gone:
                self._fail(f"request {request_id} was answered as stopped, but stays")

    def _seats(self) -> None:
        running = len(self.batch.sequences) - len(self.gone) + len(self.plan.enter)
        most = self.capacity.max_sequences
        if running > most:
            self._fail(f"a batch has at most {most} sequences; got {running}")

    def _grow(self, request_id: RequestId, block: BlockId) -> None:
        if request_id in self.gone or request_id not in self.batch.sequences:
            self._fail(f"request {request_id} grows, but it is not in the batch")
        if request_id in self.grown:
            self._fail(f"request {request_id} grows twice; one block a step at most")
        self.grown[request_id] = None
        self._claim(request_id, (block,))

    def _enter(self, enter: Enter) -> None:
        name = enter.request_id
        if name in self.arrivals or self._stays(name):
            self._fail(f"request {name} enters, but it is in the batch already")
        self._take_slot(name, enter.slot)
        self._lengths(enter)
        self._table(enter)
        limit = output_limit(enter, self.plan.step_id)
        sequence = Sequence.entering(enter, limit)
        if limit is not None and sequence.known - sequence.prompt_length >= limit:
            self._fail(f"request {name} enters after its last output token ({limit})")
        if self.strict:
            self._outputs(enter, sequence.key)
        self.arrivals[name] = sequence

    def _stays(self, request_id: RequestId) -> bool:
        return request_id in self.batch.sequences and request_id not in self.gone

    def _take_slot(self, request_id: RequestId, slot: int) -> None:
        if not 0 <= slot < self.capacity.max_sequences:
            last = self.capacity.max_sequences - 1
            self._fail(f"request {request_id} needs a slot in 0..{last}; got {slot}")
        taken = slot in self.batch.slots and slot not in self.freed_slots
        if taken or slot in self.claimed_slots:
            self._fail(f"request {request_id} got slot {slot}, which is taken")
        self.claimed_slots.add(slot)

    def _lengths(self, enter: Enter) -> None:
        name, known = enter.request_id, len(enter.tokens)
        if not 1 <= enter.prompt_length <= known:
            got = enter.prompt_length
            self._fail(f"request {name} needs 1 <= prompt_length <= {known}; got {got}")
        if not 0 <= enter.cached < known:
            # Somebody must compute the last position, for it yields the first token.
            self._fail(f"request {name} needs 0 <= cached < {known}; {enter.cached=}")
        if enter.cached % self.capacity.block_size or not self._may_share(enter):
            size = self.capacity.block_size if self.capacity.prefix_cache else 0
            whole = f"whole blocks of {size}" if size else "0 without a prefix cache"
            self._fail(f"request {name} needs cached to be {whole}; {enter.cached=}")
        room = len(enter.blocks) * self.capacity.block_size
        if room < known:
            self._fail(f"request {name} has blocks for {room} of its {known} tokens")

    def _may_share(self, enter: Enter) -> bool:
        return self.capacity.prefix_cache or not enter.cached

    def _table(self, enter: Enter) -> None:
        name, blocks = enter.request_id, enter.blocks
        if len(set(blocks)) < len(blocks):
            self._fail(f"request {name} has a block twice in its table")
        count = enter.cached // self.capacity.block_size
        self._claim(name, blocks[count:])
        if count:
            self._borrow(enter, blocks[:count])

    def _claim(self, request_id: RequestId, blocks: tuple[BlockId, ...]) -> None:
        self._exist(request_id, blocks)
        wanted, used = set(blocks), self.batch.pool.used
        taken = (wanted & used) - self.freed
        taken |= wanted & self.claimed | wanted & self.borrowed
        if taken:
            where = f"blocks {sorted(taken)}, which are in another table"
            self._fail(f"request {request_id} got {where}")
        self.claimed |= wanted

    def _borrow(self, enter: Enter, blocks: tuple[BlockId, ...]) -> None:
        name = enter.request_id
        self._exist(name, blocks)
        lost = self.claimed.intersection(blocks)
        if lost:
            where = f"blocks {sorted(lost)}, which this plan lets somebody fill"
            self._fail(f"request {name} shares {where}")
        problem = self.batch.pool.problem(enter, self.batch.tick, exact=self.strict)
        if problem is not None:
            self._fail(
                f"request {name} has {enter.cached} tokens cached, but {problem}"
            )
        self.borrowed.update(blocks)

    def _exist(self, request_id: RequestId, blocks: tuple[BlockId, ...]) -> None:
        if not 0 <= min(blocks) <= max(blocks) < self.capacity.blocks:
            last = self.capacity.blocks - 1
            self._fail(f"request {request_id} needs block ids in 0..{last}: {blocks}")

    def _outputs(self, enter: Enter, key: int) -> None:
        for position in range(enter.prompt_length, len(enter.tokens)):
            got, expected = enter.tokens[position], token_at(key, position)
            if got != expected:
                where = f"at position {position}: {expected}; got {got}"
                self._fail(f"request {enter.request_id} re-enters with a token {where}")

    def _chunk(self, chunk: Chunk) -> None:
        name = chunk.request_id
        sequence = self.arrivals.get(name) or self._staying(name)
        if sequence is None:
            self._fail(f"a chunk for request {name}, which is not in the batch")
        if name in self.batch.phases and name not in self.arrivals:
            self._fail(f"a chunk for request {name}, which decodes already")
        start = self.computed.get(name, sequence.computed)
        end = chunk.start + chunk.length
        if chunk.start != start or not start < end <= sequence.known:
            span = f"start {start} and end in {start + 1}..{sequence.known}"
            self._fail(f"a chunk of request {name} must {span}; got {chunk}")
        if chunk.samples != (end == sequence.known):
            known = sequence.known
            self._fail(f"a chunk samples if, and only if, it ends at {known}: {chunk}")
        self.computed[name] = end

    def _staying(self, request_id: RequestId) -> Sequence | None:
        return None if request_id in self.gone else self.batch.sequences.get(request_id)

    def _decodes(self) -> None:
        phases = self.batch.phases.keys()
        expected = phases - self.gone.keys() if self.gone else phases
        members = self.plan.decodes.ids()
        if members != expected:
            extra, missing = sorted(members - expected), sorted(expected - members)
            what = f"{extra} never sampled or are gone, {missing} are missing"
            self._fail(f"decodes must be those who sampled and did not leave: {what}")
        for request_id in self.batch.full.due(self.batch.tick):
            if request_id not in self.gone and request_id not in self.grown:
                self._fail(f"request {request_id} decodes beyond the end of its blocks")
        if self.strict:
            self._slots(self.plan.decodes.slot)

    def _slots(self, slot: Callable[[RequestId], int]) -> None:
        for request_id in self.plan.decodes:
            got, expected = slot(request_id), self.batch.sequences[request_id].slot
            if got != expected:
                self._fail(f"request {request_id} moved from slot {expected} to {got}")

    def _budget(self) -> None:
        tokens, most = self.plan.tokens, self.capacity.tokens_per_step
        if tokens > most:
            self._fail(f"a step computes at most {most} tokens; got {tokens}")

    def _shared(self, prefix: SharedPrefix) -> None:
        members = prefix.members
        if not prefix.blocks or len(set(members)) < max(2, len(members)):
            self._fail(f"a shared prefix has a block and two members; got {prefix}")
        size = len(prefix.blocks)
        for name in members:
            sequence = self.arrivals.get(name) or self._staying(name)
            if sequence is None:
                self._fail(f"request {name} shares a prefix, but is not in the batch")
            if sequence.blocks[:size] != list(prefix.blocks):
                self._fail(f"request {name} does not begin with {prefix.blocks}")
            if sequence.context(self.batch.tick) < size * self.capacity.block_size:
                self._fail(f"request {name} is computing the prefix it shares")

    def _fail(self, what: str) -> NoReturn:
        msg = f"Plan {self.plan.step_id} breaks the step protocol: {what}."
        raise ProtocolViolation(msg, step_id=self.plan.step_id)
