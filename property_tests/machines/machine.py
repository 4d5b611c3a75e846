"""A state machine that does to a kernel whatever a server could do to it.

What must hold after every move is in ``promises``.
"""

import sys

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from fairq import (
    Admission,
    Capacity,
    Events,
    FinishReason,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    Snapshot,
    StepPlan,
    StepResult,
)
from fairq.kernel._admission import Optimistic
from property_tests.machines.kv_memory import KvMemory
from property_tests.machines.promises import Promises
from property_tests.machines.settings import (
    TENANTS,
    capacities,
    crowded_capacities,
    crowded_policies,
    policies,
    tiny_capacities,
    within,
)
from property_tests.models import BatchModel, GapModel, ModelRequest


class KernelMachine(Promises):
    """Submit, cancel, plan, commit and fail in any order, against naive models."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: dict[int, int] = {}

    @initialize(capacity=capacities, policy=policies, misled=st.booleans())
    def start(self, capacity: Capacity, policy: Policy, *, misled: bool) -> None:
        self.open(capacity, policy, misled=misled)

    def open(self, capacity: Capacity, policy: Policy, *, misled: bool) -> None:
        policy = within(policy, capacity)
        self.kernel = Kernel(capacity, policy)
        rule = self.kernel._life.rule
        if misled and isinstance(rule, Optimistic):
            # As after many answers of length 0: admits far too much, and so preempts.
            rule._mean = 0
        self.policy = policy
        budget = policy.token_budget or capacity.tokens_per_step
        slots = min(policy.max_sequences or capacity.max_sequences, budget)
        self.model = BatchModel(capacity.blocks, capacity.block_size, slots, budget)
        self.memory = KvMemory(capacity.block_size)
        self.gap = GapModel(dict(policy.weights))

    # --- callers --------------------------------------------------------------------

    @rule(later=st.sampled_from([-(10**9), -1, 0, 1, 10**12]))
    def time_passes(self, later: int) -> None:
        """Or seems to go back, as clocks do; plans hear of it."""
        time = self.now + later
        self.note("the clock went back", later < 0)
        self.now = max(self.now, time)
        if self.outstanding is None:
            self._plan(time)
        else:
            assert self.kernel.plan(time) is Idle.AWAITING_RESULT

    @rule(
        tenant=st.sampled_from(TENANTS),
        prompt=st.lists(st.integers(0, 99), min_size=1, max_size=10),
        max_tokens=st.integers(1, 12),
    )
    def submit(self, tenant: str, prompt: list[int], max_tokens: int) -> None:
        before = self.kernel.snapshot()
        request = Request(tenant=tenant, prompt=prompt, max_tokens=max_tokens)
        needed = -(-(len(prompt) + max_tokens - 1) // self.model.block_size)
        too_large = needed > self.model.blocks
        if too_large or self._full(before, tenant):
            self._refused(request, before, too_large=too_large)
            return
        self.now += 1
        request_id = self.kernel.submit(request, self.now)
        model = ModelRequest(tenant, prompt, max_tokens)
        model.arriving = self.outstanding is not None
        self.model.requests[request_id] = model
        self.arrived[request_id] = self.now
        self.note("came while a plan was outstanding", model.arriving)
        self._observe()
        # It may be that this one made room for forgetting the next one to come.
        self.everybody_is_charged_exactly_what_was_computed()

    @rule(tenant=st.sampled_from(TENANTS), count=st.integers(2, 5))
    def submit_burst(self, tenant: str, count: int) -> None:
        """A tenant that floods the queue: what fairness is there for."""
        for number in range(count):
            self.submit(tenant, [number] * (1 + 2 * number), 2 + 3 * number)

    @rule(prompt=st.integers(1, 4), part=st.sampled_from([2, 1, 3]))
    def submit_a_crowd(self, prompt: int, part: int) -> None:
        """Everybody asks for a large part of the pool: they fit now and not later."""
        pool = self.model.blocks * self.model.block_size
        for number, tenant in enumerate(TENANTS):
            length = min(prompt + number, pool)
            self.submit(tenant, [number] * length, max(1, pool // part - length))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if not self.model.live():
            return
        self._cancel(RequestId(data.draw(st.sampled_from(list(self.model.live())))))

    def _cancel(self, request_id: RequestId) -> None:
        involved = self.outstanding and request_id in self.scheduled(self.outstanding)
        self.note("cancelled while its plan was outstanding", bool(involved))
        events = self.kernel.cancel(request_id)
        assert [f.reason for f in events.finished] == [FinishReason.CANCELLED]
        self._finish(events)
        assert not self.kernel.cancel(request_id)
        self._observe()

    @precondition(lambda self: self.outstanding is None)
    @rule(data=st.data())
    def cancel_during_a_step(self, data: st.DataObject) -> None:
        self.plan()
        if self.outstanding is not None:
            members = self.scheduled(self.outstanding)
            self._cancel(RequestId(data.draw(st.sampled_from(members))))

    # --- a driver -------------------------------------------------------------------

    @precondition(lambda self: self.outstanding is None)
    @rule()
    def plan(self) -> None:
        self._plan(self.now)

    def _plan(self, time: int) -> None:
        before = self.kernel.snapshot()
        plan = self.kernel.plan(time)
        if isinstance(plan, Idle):
            assert plan is Idle.NO_WORK
            assert not self.model.live()
            return
        assert self.kernel.plan(time) is Idle.AWAITING_RESULT
        # The standing set is a view that changes when the plan is answered.
        self.decodes = list(plan.decodes)
        self.check_plan(plan, before)
        self.outstanding = plan

    @precondition(lambda self: self.outstanding is not None)
    @rule(data=st.data(), stops=st.sampled_from([0, 0, 1, 2, 4]))
    def commit(self, data: st.DataObject, stops: int) -> None:
        tokens = self._tokens()
        order = data.draw(st.permutations(list(tokens))) if stops else []
        self._commit(tokens, tuple(order[:stops]))

    def _tokens(self) -> dict[RequestId, int]:
        plan = self.outstanding
        assert plan is not None
        sampling = [chunk.request_id for chunk in plan.chunks if chunk.samples]
        return {RequestId(id_): 7 + id_ % 5 for id_ in [*self.decodes, *sampling]}

    def _commit(
        self, tokens: dict[RequestId, int], stopped: tuple[RequestId, ...]
    ) -> None:
        plan = self._take_plan()
        before, victims = self.model.backlogged(), self.model.victims(plan)
        for name, service in self.model.apply(plan, tokens).items():
            self.gap.add(name, service)
        # The work was done while these waited: who entered with it did not any more.
        waiting = self.model.backlogged()
        self.gap.observe([name for name in before if name in waiting])
        expected = self._expected_ends(tokens, stopped)
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        assert events.tokens is tokens
        assert {f.request_id: f.reason for f in events.finished} == expected
        forgiven = [self.failures.pop(id_, 0) for id_ in self.scheduled(plan)]
        self.note("forgiven", any(forgiven))
        self.executed(plan)
        self._note_ends(tokens, expected)
        self._finish(events)
        self._check_preempted(victims, events)
        self._answered()
        self._observe()

    @precondition(lambda self: self.outstanding is None)
    @rule(data=st.data(), count=st.integers(1, 6))
    def steps(self, data: st.DataObject, count: int) -> None:
        """Some steps in a row, nobody interfering."""
        for _ in range(count):
            self.plan()
            if self.outstanding is not None:
                self.commit(data, data.draw(st.sampled_from([0, 0, 0, 1, 3])))

    @precondition(lambda self: self.outstanding is None and len(self.model.live()) > 3)
    @rule()
    def run_until_all_ended_by_length(self) -> None:
        """Nobody stops, nobody interferes, and nobody is left."""
        live = len(self.model.live())
        self._run_out()
        self.note("all ended by length", live > 1)

    @precondition(lambda self: self.outstanding is not None)
    @rule()
    def fail(self) -> None:
        self._fail()

    @precondition(lambda self: self.outstanding is None)
    @rule(fails=st.lists(st.sampled_from([True, True, False]), min_size=3, max_size=7))
    def some_steps_fail(self, fails: list[bool]) -> None:
        for fail in fails:
            self.plan()
            if self.outstanding is None:
                return
            if fail:
                self._fail()
            else:
                self._commit(self._tokens(), ())

    def _fail(self) -> None:
        plan = self._take_plan()
        victims = self.model.victims(plan)
        self.model.fail(plan)
        events = self.kernel.fail(plan.step_id)
        given_up = {}
        for id_ in self.scheduled(plan):
            self.failures[id_] = self.failures.get(id_, 0) + 1
            too_many = self.failures[id_] > self.policy.max_failures
            if too_many and self.model.requests[id_].live:
                given_up[id_] = FinishReason.FAILED
        assert {f.request_id: f.reason for f in events.finished} == given_up
        assert not events.tokens
        self.note("given up", len(given_up))
        self.note("preempted by a step that failed", len(victims))
        self.in_vain += len(victims)
        self._finish(events)
        self._check_preempted(victims, events)
        self._answered()
        self._observe()

    def teardown(self) -> None:
        """Left alone, a kernel finishes everything, in bounded steps."""
        if not self.started or sys.exc_info()[0] is not None:
            # A move has failed, and what follows from it would hide it.
            return
        if self.outstanding is not None:
            self._fail()
        recomputed = self.kernel.snapshot().recomputed_tokens
        work = sum(
            len(each.prompt) + each.max_tokens - 1 - each.computed
            for each in self.model.live().values()
        )
        self.check_the_end(self._run_out(), work, recomputed)

    def _run_out(self) -> int:
        """Step until nothing is left; how many steps that took."""
        for count in range(10_000):
            self.plan()
            if self.outstanding is None:
                return count
            self._commit(self._tokens(), ())
        msg = f"It does not come to an end: {self.kernel!r}"
        raise AssertionError(msg)

    # --- the model's side -----------------------------------------------------------

    def _full(self, before: Snapshot, tenant: str) -> bool:
        waiting = sum(t.waiting for t in before.tenants if t.tenant == tenant)
        most, most_here = self.policy.max_waiting, self.policy.max_waiting_per_tenant
        full_here = most_here is not None and waiting >= most_here
        return full_here or (most is not None and before.waiting >= most)

    def _refused(self, request: Request, before: Snapshot, *, too_large: bool) -> None:
        with pytest.raises(RequestRejected) as caught:
            self.kernel.submit(request, self.now)
        assert before == self.kernel.snapshot()
        assert caught.value.retryable != too_large
        assert caught.value.needed > caught.value.available
        self.note("refused for good" if too_large else "refused for now")

    def _take_plan(self) -> StepPlan:
        plan, self.outstanding = self.outstanding, None
        assert plan is not None
        return plan

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

    def _note_ends(
        self, tokens: dict[RequestId, int], ends: dict[int, FinishReason]
    ) -> None:
        reasons = list(ends.values())
        self.note("several stops at once", reasons.count(FinishReason.STOP) > 1)
        lengths = reasons.count(FinishReason.LENGTH)
        self.note("a whole result of last tokens", 1 < lengths == len(tokens))

    def _finish(self, events: Events) -> None:
        for finished in events.finished:
            model = self.model.requests[finished.request_id]
            assert model.live
            assert finished.output_tokens == len(model.outputs)
            model.live = False
            self.ends[finished.request_id] += 1

    def _check_preempted(self, victims: list[int], events: Events) -> None:
        live = [id_ for id_ in victims if self.model.requests[id_].live]
        assert live == list(events.preempted)
        self.note("preempted", len(live))
        if self.policy.admission is Admission.RESERVE:
            assert not events.preempted

    def _answered(self) -> None:
        """First those leave the backlog whom the plan admitted, then others join."""
        self._observe()
        self.model.answered()

    def _observe(self) -> None:
        self.gap.observe(self.model.backlogged())


class CrowdedMachine(KernelMachine):
    """Room for some, and everybody is let in: blocks run out at every turn."""

    @initialize(capacity=crowded_capacities, policy=crowded_policies)
    def start(self, capacity: Capacity, policy: Policy) -> None:
        self.open(capacity, policy, misled=True)
        self.submit_a_crowd(1, 1)


class TinyMachine(KernelMachine):
    """One block or two, a batch of one, or a budget of one."""

    @initialize(capacity=tiny_capacities, policy=policies, misled=st.booleans())
    def start(self, capacity: Capacity, policy: Policy, *, misled: bool) -> None:
        self.open(capacity, policy, misled=misled)
