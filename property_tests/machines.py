"""A state machine that does to a kernel whatever a server could do to it."""

from fractions import Fraction

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fairq import (
    Admission,
    Capacity,
    Events,
    Fcfs,
    FinishReason,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    StepPlan,
    StepResult,
    Vtc,
)
from fairq.kernel._admission import Optimistic
from property_tests.models import BatchModel, GapModel, ModelRequest

TENANTS = ("a", "b", "c", "d")
WEIGHTS = {"a": 2.0, "b": 0.5}

disciplines = st.sampled_from([Vtc(), Vtc(slack=6.0), Vtc(slack=100.0), Fcfs()])
# Small, so that blocks, slots and budget run out all the time.
capacities = st.builds(
    Capacity,
    blocks=st.integers(4, 16),
    block_size=st.sampled_from([1, 2, 4]),
    max_sequences=st.integers(1, 5),
    tokens_per_step=st.sampled_from([1, 3, 8, 32]),
)
policies = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=disciplines,
    admission=st.sampled_from(Admission),
    max_waiting=st.sampled_from([None, 6]),
    max_failures=st.sampled_from([0, 2]),
)


class KernelMachine(RuleBasedStateMachine):
    """Submit, cancel, plan, commit and fail in any order, against a naive model."""

    kernel: Kernel
    policy: Policy
    model: BatchModel
    gap: GapModel

    def __init__(self) -> None:
        super().__init__()
        self.outstanding: StepPlan | None = None
        self.failures: dict[int, int] = {}
        self.bases: dict[str, Fraction] = {}
        """What the model had counted when the kernel began to count a tenant."""
        self.time = 0

    @initialize(capacity=capacities, policy=policies, misled=st.booleans())
    def start(self, capacity: Capacity, policy: Policy, *, misled: bool) -> None:
        self.kernel = Kernel(capacity, policy)
        rule = self.kernel._life.rule
        if misled and isinstance(rule, Optimistic):
            # As after many answers of length 0: admits far too much, and so preempts.
            rule._mean = 0
        self.policy = policy
        budget = capacity.tokens_per_step
        slots = min(capacity.max_sequences, budget)
        self.model = BatchModel(capacity.blocks, capacity.block_size, slots, budget)
        self.gap = GapModel(WEIGHTS)

    # --- callers --------------------------------------------------------------------

    @rule(
        tenant=st.sampled_from(TENANTS),
        prompt=st.lists(st.integers(0, 99), min_size=1, max_size=10),
        max_tokens=st.integers(1, 12),
    )
    def submit(self, tenant: str, prompt: list[int], max_tokens: int) -> None:
        self.time += 1
        before = self.kernel.snapshot()
        request = Request(tenant=tenant, prompt=prompt, max_tokens=max_tokens)
        needed = -(-(len(prompt) + max_tokens - 1) // self.model.block_size)
        limit = self.policy.max_waiting
        full = limit is not None and before.waiting >= limit
        if full or needed > self.model.blocks:
            with pytest.raises(RequestRejected) as caught:
                self.kernel.submit(request, self.time)
            assert before == self.kernel.snapshot()
            assert caught.value.retryable == (needed <= self.model.blocks)
            assert caught.value.needed > caught.value.available
            return
        request_id = self.kernel.submit(request, self.time)
        model = ModelRequest(tenant, prompt, max_tokens)
        model.arriving = self.outstanding is not None
        self.model.requests[request_id] = model
        self._observe()

    @rule(tenant=st.sampled_from(TENANTS), count=st.integers(2, 5))
    def submit_burst(self, tenant: str, count: int) -> None:
        """A tenant that floods the queue: what fairness is there for."""
        for number in range(count):
            self.submit(tenant, [number] * (1 + 2 * number), 2 + 3 * number)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self.model.live():
            return
        request_id = RequestId(data.draw(st.sampled_from(list(self.model.live()))))
        events = self.kernel.cancel(request_id)
        assert [f.reason for f in events.finished] == [FinishReason.CANCELLED]
        self._finish(events)
        assert not self.kernel.cancel(request_id)
        self._observe()

    # --- a driver -------------------------------------------------------------------

    @precondition(lambda self: self.outstanding is None)
    @rule()
    def plan(self) -> None:
        plan = self.kernel.plan(self.time)
        if isinstance(plan, Idle):
            assert plan is Idle.NO_WORK
            assert not self.model.live()
            return
        assert self.kernel.plan() is Idle.AWAITING_RESULT
        self.model.check_plan(plan)
        self.outstanding = plan
        # The standing set is a view that changes when the plan is answered.
        self.decodes = list(plan.decodes)

    @precondition(lambda self: self.outstanding is not None)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        plan = self._take_plan()
        sampling = [chunk.request_id for chunk in plan.chunks if chunk.samples]
        tokens = {id_: 7 + id_ % 5 for id_ in [*self.decodes, *sampling]}
        stopped = self._draw_stopped(data, tokens)
        before = self.model.backlogged()
        for name, service in self.model.apply(plan, tokens).items():
            self.gap.add(name, service)
        # The work was done while these waited, even if the last of them enters now.
        self.gap.observe(before)
        expected = self._expected_ends(tokens, stopped)
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        assert events.tokens is tokens
        assert {f.request_id: f.reason for f in events.finished} == expected
        for id_ in self._members(plan):
            self.failures.pop(id_, None)
        self._finish(events)
        self._check_preempted(plan, events)
        self._answered()
        event(f"preempted {len(events.preempted)}")
        self._observe()

    @precondition(lambda self: self.outstanding is None)
    @rule(data=st.data(), count=st.integers(1, 6))
    def steps(self, data: st.DataObject, count: int) -> None:
        """Some steps in a row, nobody interfering."""
        for _ in range(count):
            self.plan()
            if self.outstanding is not None:
                self.commit(data)

    @precondition(lambda self: self.outstanding is not None)
    @rule()
    def fail(self) -> None:
        plan = self._take_plan()
        events = self.kernel.fail(plan.step_id)
        given_up = {}
        for id_ in self._members(plan):
            self.failures[id_] = self.failures.get(id_, 0) + 1
            too_many = self.failures[id_] > self.policy.max_failures
            if too_many and self.model.requests[id_].live:
                given_up[id_] = FinishReason.FAILED
        assert {f.request_id: f.reason for f in events.finished} == given_up
        assert not events.tokens
        assert not events.preempted
        self._finish(events)
        self._answered()
        self._observe()

    # --- what must hold always ------------------------------------------------------

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

    def teardown(self) -> None:
        """Left alone, a kernel finishes everything and holds nothing."""
        if not self.started:
            return
        if self.outstanding is not None:
            self.kernel.fail(self.outstanding.step_id)
        for _ in range(10_000):
            plan = self.kernel.plan()
            if isinstance(plan, Idle):
                break
            sampling = [chunk.request_id for chunk in plan.chunks if chunk.samples]
            tokens = dict.fromkeys([*plan.decodes, *sampling], 1)
            self.kernel.commit(StepResult(plan.step_id, tokens))
        snapshot = self.kernel.snapshot()
        assert (0, 0) == (snapshot.waiting, snapshot.running)
        assert snapshot.blocks == snapshot.free_blocks
        self.kernel.check()

    # --- the model's side -----------------------------------------------------------

    @property
    def started(self) -> bool:
        return hasattr(self, "kernel")

    def _take_plan(self) -> StepPlan:
        plan, self.outstanding = self.outstanding, None
        assert plan is not None
        return plan

    def _draw_stopped(
        self, data: st.DataObject, tokens: dict[RequestId, int]
    ) -> tuple[RequestId, ...]:
        if not tokens or data.draw(st.integers(0, 4)):
            return ()
        return (data.draw(st.sampled_from([*tokens])),)

    def _members(self, plan: StepPlan) -> list[int]:
        return [*self.decodes, *(chunk.request_id for chunk in plan.chunks)]

    def _expected_ends(
        self, tokens: dict[RequestId, int], stopped: tuple[RequestId, ...]
    ) -> dict[int, FinishReason]:
        ends = {}
        for id_ in tokens:
            model = self.model.requests[id_]
            if not model.live:
                continue
            if id_ in stopped:
                ends[int(id_)] = FinishReason.STOP
            elif len(model.outputs) == model.max_tokens:
                ends[int(id_)] = FinishReason.LENGTH
        return ends

    def _finish(self, events: Events) -> None:
        for finished in events.finished:
            model = self.model.requests[finished.request_id]
            assert model.live
            assert finished.output_tokens == len(model.outputs)
            model.live = False

    def _check_preempted(self, plan: StepPlan, events: Events) -> None:
        live = [id_ for id_ in plan.leave if self.model.requests[id_].live]
        assert live == list(events.preempted)
        if self.policy.admission is Admission.RESERVE:
            assert not events.preempted

    def _answered(self) -> None:
        """First those leave the backlog whom the plan admitted, then others join."""
        self._observe()
        self.model.answered()

    def _observe(self) -> None:
        self.gap.observe(self.model.backlogged())
