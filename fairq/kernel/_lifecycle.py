"""The moves of a request, and everything that moves with it.

Each method is one arrow of the diagram in ``_sequence`` and leaves ledger, batch,
counters, queue and admission rule in agreement. Nothing here decides or validates.
"""

from fairq.backend import Capacity
from fairq.kernel._admission import make_rule
from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._clock import StepClock
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._pins import Pins
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.kernel._tables import Grant, Tables
from fairq.kernel._tenant import Tenant
from fairq.policy import Policy
from fairq.request import RequestId


class Lifecycle:
    """All live requests, and the parts that know something about them."""

    __slots__ = (
        "arriving",
        "batch",
        "cached_tokens",
        "clock",
        "counters",
        "leaving",
        "ledger",
        "pins",
        "preemptions",
        "recomputed",
        "rule",
        "sequences",
        "tables",
    )

    def __init__(self, capacity: Capacity, policy: Policy, slots: int) -> None:
        self.clock = StepClock()
        self.ledger = BlockLedger(capacity.blocks, capacity.block_size)
        cache = policy.prefix_cache if capacity.prefix_cache else None
        self.tables = Tables(self.ledger, cache)
        self.pins = Pins(self.ledger, cache)
        self.batch = Batch(slots, capacity.block_size, self.clock)
        self.counters = VirtualCounters(policy, self.clock)
        self.rule = make_rule(policy.admission, self.ledger, self.batch)
        self.sequences: dict[RequestId, Sequence] = {}
        """The live requests, in the order of arrival."""
        self.arriving: dict[Tenant, RequestId] = {}
        """Tenants that got requests while a plan is outstanding, and the first each."""
        self.leaving: list[RequestId] = []
        """Members that are gone and that the backend has not been told of."""
        self.preemptions = 0
        self.recomputed = 0
        self.cached_tokens = 0

    @property
    def waiting(self) -> int:
        """Requests in queues."""
        return len(self.sequences) - len(self.batch)

    def waits(self, tenant: Tenant) -> bool:
        """Whether a tenant has a waiting request that did not come with this step."""
        oldest = next(iter(tenant.waiting), None)
        return oldest is not None and oldest < self.arriving.get(tenant, oldest + 1)

    def arrive(self, sequence: Sequence) -> None:
        """A new request goes to the end of its tenant's queue."""
        self._queue(sequence)
        if sequence.tenant not in self.counters.backlogged:
            self.counters.join(sequence.tenant)

    def arrive_meanwhile(self, sequence: Sequence) -> None:
        """The same while a plan is outstanding; its tenant joins when that is answered.

        Requests in the plan are as good as admitted. A tenant that has no others left
        leaves the backlog when they are, and this request brings it back: lifted, as
        after any absence. Joining now, it would have stayed without being measured
        against the tenants that the plan let past.
        """
        self._queue(sequence)
        self.arriving.setdefault(sequence.tenant, sequence.id)

    def answered(self) -> None:
        """The outstanding plan was answered: who arrived meanwhile joins, in order.

        Whoever has an older request too has waited all the time.
        """
        arrived = tuple(self.arriving)
        self.arriving.clear()
        for tenant in arrived:
            if tenant.waiting and tenant not in self.counters.backlogged:
                self.counters.join(tenant)

    def _queue(self, sequence: Sequence) -> None:
        tenant = sequence.tenant
        self.sequences[sequence.id] = sequence
        tenant.waiting[sequence.id] = sequence
        self.counters.wake(tenant)

    def admit(self, sequence: Sequence, slot: int, grant: Grant) -> None:
        """From its queue into the batch."""
        tenant = sequence.tenant
        cached = grant.cached * self.ledger.size
        sequence.found_last, sequence.group_end = 0, None
        if cached:
            self._settle_cached(sequence, cached)
        unpaid = sequence.unpaid
        outputs = sequence.request.max_tokens - sequence.produced
        self.counters.charge_admission(tenant, unpaid, outputs)
        sequence.prepaid += unpaid
        sequence.computed = sequence.cached = cached
        sequence.promised = grant.own
        self.tables.enter(sequence, grant)
        tenant.passed += 1
        self._unqueue(sequence)
        tenant.running[sequence.id] = sequence
        self.batch.enter(sequence, slot)
        self.rule.enter(sequence)

    def _settle_cached(self, sequence: Sequence, cached: int) -> None:
        """Prompt positions that were found need no computing: other charges, or none.

        What was charged for them, before a preemption, is refunded.
        """
        found = sequence.found_positions(cached)
        self.cached_tokens += found
        refund = min(found, sequence.prepaid)
        sequence.paid += found
        sequence.found_ever += found
        sequence.found_last = found
        sequence.prepaid -= refund
        self.counters.refund(sequence.tenant, refund)
        self.counters.charge_cached(sequence.tenant, found)

    def compute(self, sequence: Sequence, start: int, length: int) -> None:
        """A chunk of known tokens has been computed: settle its charge."""
        end = start + length
        self.recomputed += max(0, min(sequence.reached, end) - start)
        sequence.computed = end
        self.tables.computed(sequence)
        sequence.reached = max(sequence.reached, end)
        settled = min(end, sequence.prompt_length) - sequence.paid
        if settled > 0:
            sequence.paid += settled
            sequence.prepaid -= settled
            sequence.tenant.prepaid -= settled

    def sample(self, sequence: Sequence, token: int) -> None:
        """Its last chunk yielded a token; it decodes from now on."""
        tenant = sequence.tenant
        sequence.group_end = next(reversed(self.sequences))
        self.batch.begin_decoding(sequence, token)
        tenant.outputs_offset += 1 - self.clock.tick
        tenant.decoding += 1

    def preempt(self, sequence: Sequence) -> None:
        """Out of the batch, back to its place in the queue; its turn is kept.

        So is its charge: what it has prepaid it will compute when it is back.
        """
        tenant = sequence.tenant
        self._leave_batch(sequence, Phase.WAITING, ended=False)
        sequence.reached = max(sequence.reached, sequence.computed)
        sequence.computed = 0
        self.preemptions += 1
        tenant.requeue(sequence)
        if tenant in self.counters.backlogged:
            self.counters.backlogged.add(tenant)
        else:
            self.counters.join(tenant)

    def end(self, sequence: Sequence, *, ended: bool) -> None:
        """A live request is over; ``ended`` when it ended by itself."""
        if sequence.phase is Phase.WAITING:
            sequence.move(Phase.OVER)
            self._unqueue(sequence)
        else:
            self._leave_batch(sequence, Phase.OVER, ended=ended)
            self.leaving.append(sequence.id)
        del self.sequences[sequence.id]
        tenant = sequence.tenant
        refund, sequence.prepaid = sequence.prepaid, 0
        self.counters.refund(tenant, refund)
        if not tenant.waiting and not tenant.running:
            self.counters.rest(tenant)

    def _unqueue(self, sequence: Sequence) -> None:
        tenant = sequence.tenant
        if next(iter(tenant.waiting)) == sequence.id:
            tenant.passed = 0
        del tenant.waiting[sequence.id]
        # Trap: who left last is whom others are measured against, so a tenant must
        # leave here, in its turn, whatever has arrived meanwhile.
        if not self.waits(tenant):
            self.counters.leave(tenant)

    def _leave_batch(self, sequence: Sequence, phase: Phase, *, ended: bool) -> None:
        tenant = sequence.tenant
        if sequence.phase is Phase.DECODING:
            self._stop_rate(tenant)
        self.batch.leave(sequence, phase)
        self.rule.leave(sequence, ended=ended)
        self.release(sequence)
        del tenant.running[sequence.id]
        tenant.granted -= sequence.request.max_tokens - len(sequence.outputs)

    def release(self, sequence: Sequence) -> None:
        """Give up the blocks of a member, if that was not done."""
        if not sequence.blocks:
            return
        computed = sequence.computed
        if sequence.phase is Phase.DECODING:
            self.batch.collect(sequence)
            computed += self.clock.tick - sequence.joined
        self.tables.release(sequence, computed)

    def _stop_rate(self, tenant: Tenant) -> None:
        tenant.decoding -= 1
        tenant.outputs_offset += self.clock.tick
