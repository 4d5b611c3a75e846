"""What must hold after every move of the kernel machine.

Each method that begins with a letter and a number is the invariant of that row of
docs/peers.md: a bug that schedulers in wide use have had.
"""

from collections import Counter
from fractions import Fraction
from typing import ClassVar

from hypothesis import event
from hypothesis.stateful import RuleBasedStateMachine, invariant

from fairq import BlockId, Enter, Fcfs, Kernel, Policy, Snapshot, StepPlan
from fairq.kernel import Phase
from property_tests.machines.kv_memory import KvMemory
from property_tests.models import BatchModel, GapModel


class Promises(RuleBasedStateMachine):
    """A kernel, the models beside it, and the invariants of both together."""

    counts: ClassVar[Counter[str]] = Counter()
    """How often each situation has occurred; a subclass has its own."""

    kernel: Kernel
    policy: Policy
    model: BatchModel
    memory: KvMemory
    gap: GapModel

    def __init__(self) -> None:
        super().__init__()
        self.outstanding: StepPlan | None = None
        self.decodes: list[int] = []
        """Of the outstanding plan."""
        self.committed = 0
        self.ends: Counter[int] = Counter()
        """How often the end of each request was told."""
        self.bases: dict[str, Fraction] = {}
        """What the model had counted when the kernel began to count a tenant."""
        self.idle_steps: dict[int, int] = {}
        """Steps since each member was part of one."""
        self.arrived: dict[int, int] = {}
        """When each request was submitted."""
        self.in_vain = 0
        """Preemptions by steps that failed."""
        self.now = 0

    @property
    def started(self) -> bool:
        return hasattr(self, "kernel")

    def note(self, situation: str, times: int = 1) -> None:
        """Remember that a situation has occurred."""
        if times:
            event(situation)
            self.counts[situation] += times

    # --- after every move -----------------------------------------------------------

    @invariant()
    def state_is_consistent(self) -> None:
        if self.started:
            self.kernel.check()

    @invariant()
    def everybody_is_charged_exactly_what_was_computed(self) -> None:
        if not self.started:
            return
        bases = {}
        for tenant in self.kernel.snapshot().tenants:
            name = tenant.tenant
            # Who was forgotten and has come back is counted anew.
            bases[name] = self.bases.get(name, self.gap.of(name))
            counted = (self.gap.of(name) - bases[name]) * Fraction(tenant.weight)
            assert abs(float(counted) - tenant.service) < 1e-6
        self.bases = bases

    @invariant()
    def the_gap_is_within_its_bound(self) -> None:
        if not self.started:
            return
        bound = self.kernel.snapshot().gap_bound
        if isinstance(self.policy.discipline, Fcfs):
            assert bound is None
        else:
            assert bound is not None
            assert float(self.gap.largest) <= bound * (1 + 1e-6)

    @invariant()
    def waits_are_measured_by_the_latest_time(self) -> None:
        if not self.started:
            return
        snapshot = self.kernel.snapshot()
        assert self.now == snapshot.now_ns
        waiting = [r for r in snapshot.requests if r.phase is Phase.WAITING]
        for tenant in snapshot.tenants:
            queue = [r for r in waiting if r.tenant == tenant.tenant]
            waits = [self.now - self.arrived[r.request_id] for r in queue]
            assert max(waits, default=0) == tenant.oldest_wait_ns

    @invariant()
    def c1_every_block_is_in_exactly_one_place(self) -> None:
        if not self.started:
            return
        snapshot = self.kernel.snapshot()
        free = self.kernel._life.ledger.free_blocks()
        assert len(free) == snapshot.free_blocks
        held = [block for each in snapshot.requests for block in each.blocks]
        named = [*free, *held, *self._promised(held)]
        assert list(range(snapshot.blocks)) == sorted(named)

    def _promised(self, held: list[BlockId]) -> list[BlockId]:
        """Blocks that the outstanding plan gives; those of a victim are still held."""
        plan = self.outstanding
        if plan is None:
            return []
        given = [block for _, block in plan.grow]
        given += [block for enter in plan.enter for block in enter.blocks]
        return [block for block in given if block not in held]

    @invariant()
    def c6_nothing_is_held_when_nobody_is_left(self) -> None:
        if not self.started or self.kernel.snapshot().requests:
            return
        snapshot, batch = self.kernel.snapshot(), self.kernel._life.batch
        assert (0, 0) == (snapshot.waiting, snapshot.running)
        assert snapshot.blocks == snapshot.free_blocks
        assert batch.total_slots == batch.free_slots
        assert [] == [t for t in snapshot.tenants if t.waiting or t.running]
        assert {} == self.kernel._failures

    @invariant()
    def c11_what_is_owed_is_never_negative_and_every_plan_is_answered_once(
        self,
    ) -> None:
        if not self.started:
            return
        assert self.committed == self.kernel.snapshot().steps
        for tenant in self.kernel._life.counters.tenants.values():
            counts = (tenant.prepaid, tenant.owed, tenant.decoding, tenant.granted)
            assert min(counts) >= 0

    @invariant()
    def c14_totals_are_sums_over_the_tenants(self) -> None:
        if not self.started:
            return
        snapshot = self.kernel.snapshot()
        waiting = [r for r in snapshot.requests if r.phase is Phase.WAITING]
        sums = [sum(t.waiting for t in snapshot.tenants)]
        sums += [sum(t.running for t in snapshot.tenants)]
        assert [snapshot.waiting, snapshot.running] == sums
        assert len(waiting) == snapshot.waiting
        assert len(snapshot.requests) == snapshot.waiting + snapshot.running

    @invariant()
    def b8_the_batch_is_never_larger_than_allowed(self) -> None:
        if self.started:
            assert self.kernel.snapshot().running <= self.model.slots

    @invariant()
    def e10_nobody_is_told_twice_that_it_is_over(self) -> None:
        assert all(count == 1 for count in self.ends.values())

    @invariant()
    def e15_every_request_is_in_exactly_one_queue(self) -> None:
        if not self.started:
            return
        life = self.kernel._life
        for id_, sequence in life.sequences.items():
            tenant = sequence.tenant
            waits, runs = id_ in tenant.waiting, id_ in tenant.running
            computes = (id_ in life.batch.prefilling, id_ in life.batch.decodes)
            assert waits != runs
            assert runs == any(computes)
            assert not all(computes)
        queues = [(*t.waiting, *t.running) for t in life.counters.tenants.values()]
        queued = [id_ for queue in queues for id_ in queue]
        assert sorted(life.sequences) == sorted(queued)

    # --- of every plan --------------------------------------------------------------

    def check_plan(self, plan: StepPlan, before: Snapshot) -> None:
        self.model.check_plan(plan)
        self._a5_a_step_is_never_empty(plan)
        self._a7_who_is_preempted_frees_blocks_that_are_needed_now(plan, before)
        self._a12_a_plan_that_preempts_lets_nobody_in(plan)
        self._b11_each_queue_keeps_its_order(plan)
        for enter in plan.enter:
            self._c8_whoever_enters_has_all_its_blocks(enter)
        self._c10_who_leaves_computes_nothing_and_the_budget_is_kept(plan)
        self._note_plan(plan, before)

    def _a5_a_step_is_never_empty(self, plan: StepPlan) -> None:
        assert plan.tokens > 0
        assert plan.decodes or plan.chunks

    def _a7_who_is_preempted_frees_blocks_that_are_needed_now(
        self, plan: StepPlan, before: Snapshot
    ) -> None:
        victims = self.model.victims(plan)
        if not victims:
            return
        members, size = self.model.members, self.model.block_size
        due = [
            id_
            for id_, member in members.items()
            if member.live
            and member.decoding
            and member.computed == size * len(member.blocks)
        ]
        free = before.free_blocks
        for number, victim in enumerate(victims):
            # Without this one it would not have been enough.
            assert len([id_ for id_ in due if id_ not in victims[:number]]) > free
            assert members[victim].blocks
            free += len(members[victim].blocks)

    def _a12_a_plan_that_preempts_lets_nobody_in(self, plan: StepPlan) -> None:
        assert not (self.model.victims(plan) and plan.enter)

    def _b11_each_queue_keeps_its_order(self, plan: StepPlan) -> None:
        waiting: dict[str, list[int]] = {}
        for id_, request in self.model.live().items():
            if request.slot is None:
                waiting.setdefault(request.tenant, []).append(id_)
        for enter in plan.enter:
            queue = waiting[self.model.requests[enter.request_id].tenant]
            assert enter.request_id == queue.pop(0)

    def _c8_whoever_enters_has_all_its_blocks(self, enter: Enter) -> None:
        request = self.model.requests[enter.request_id]
        worst = len(request.prompt) + request.max_tokens - 1
        positions = min(len(request.known) + 1, worst)
        assert -(-positions // self.model.block_size) == len(enter.blocks)

    def _c10_who_leaves_computes_nothing_and_the_budget_is_kept(
        self, plan: StepPlan
    ) -> None:
        scheduled = [*plan.decodes, *(chunk.request_id for chunk in plan.chunks)]
        assert len(set(scheduled)) == len(scheduled)
        # Whoever a failed step threw out may leave, told again, and enter at once.
        entered = [enter.request_id for enter in plan.enter]
        waits = [id_ for id_ in entered if self.model.requests[id_].slot is None]
        assert waits == entered
        stays = [id_ for id_ in scheduled if id_ not in entered]
        assert [] == [id_ for id_ in plan.leave if id_ in stays]
        assert plan.tokens <= self.model.budget

    def _note_plan(self, plan: StepPlan, before: Snapshot) -> None:
        requests = self.model.requests
        self.note("a prompt in chunks", any(not c.samples for c in plan.chunks))
        resumed = any(requests[e.request_id].outputs for e in plan.enter)
        self.note("resumed after its first tokens", resumed)
        self.note("passed within the slack", self._somebody_was_passed(plan, before))
        due = {id_ for id_, _ in plan.grow}
        self.note("several grow at once", len(due) > 1)

    def _somebody_was_passed(self, plan: StepPlan, before: Snapshot) -> bool:
        counters = {each.tenant: each.counter for each in before.tenants}
        entered = {self.model.requests[e.request_id].tenant for e in plan.enter}
        if not entered or self.policy.discipline.slack is None:
            return False
        waiting = [name for name in self.model.backlogged() if name not in entered]
        most = max(counters[name] for name in sorted(entered))
        return any(counters[name] < most for name in waiting)

    # --- of every step --------------------------------------------------------------

    def executed(self, plan: StepPlan) -> None:
        """A plan was executed on the models."""
        self.committed += 1
        # D5 and D8: KV that was computed is read by its own sequence and nobody else.
        self.memory.execute(plan, self.decodes, self.model.members)
        self._b8_every_member_has_its_turn(plan)

    def _b8_every_member_has_its_turn(self, plan: StepPlan) -> None:
        """At the latest when the prompts before it are computed.

        They are in the pool, and each step computes a position of one of them.
        """
        scheduled = self.scheduled(plan)
        idle = {}
        for id_ in self.model.members:
            idle[id_] = 0 if id_ in scheduled else self.idle_steps.get(id_, 0) + 1
            assert idle[id_] <= self.model.blocks * self.model.block_size
        self.idle_steps = idle

    def scheduled(self, plan: StepPlan) -> list[int]:
        """For whom the outstanding plan computes something."""
        return [*self.decodes, *(chunk.request_id for chunk in plan.chunks)]

    # --- of the end -----------------------------------------------------------------

    def check_the_end(self, steps: int, work: int, recomputed: int) -> None:
        """A1 to A12: all came to an end, in as many steps as there were positions."""
        snapshot = self.kernel.snapshot()
        assert steps <= work + snapshot.recomputed_tokens - recomputed
        delivered = sum(len(each.outputs) for each in self.model.requests.values())
        # A8, A9: a token pays for two preemptions at most; a step that fails for none.
        assert snapshot.preemptions - self.in_vain <= 2 * delivered
        assert () == snapshot.requests
        # E10: everybody was told once, and nobody else was.
        assert sorted(self.model.requests) == sorted(self.ends)
        self.c6_nothing_is_held_when_nobody_is_left()
        self.e10_nobody_is_told_twice_that_it_is_over()
        self.kernel.check()
