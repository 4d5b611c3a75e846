"""With enough blocks and slack 0 the kernel is virtual token counters, to the token.

The model beside it was written from the documentation alone, in fractions.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import (
    Capacity,
    FinishReason,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    StepResult,
)
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from property_tests.effort import part
from property_tests.models_vtc import VtcModel
from property_tests.programs import (
    PATIENT,
    TENANTS,
    Cancel,
    Commit,
    Fail,
    Op,
    Plan,
    Program,
    Submit,
    programs,
    sampled,
    stopped_by,
    tokens_of,
)

weights_of_tenants = st.dictionaries(
    st.sampled_from(TENANTS),
    st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0, 7.0, 64.0]),
)


class Pair:
    """A kernel and the model, to which the same is done."""

    def __init__(self, weights: dict[str, float], slots: int, budget: int) -> None:
        capacity = Capacity(
            blocks=2**16, block_size=4, max_sequences=slots, tokens_per_step=budget
        )
        policy = Policy(weights=weights, max_failures=PATIENT)
        self.kernel = Kernel(capacity, policy)
        self.model = VtcModel(weights, slots, budget)
        self.outstanding: StepPlan | None = None
        self.submitted = 0

    def play(self, program: Program) -> None:
        for op in program:
            self.do(op)
            self.compare_counters()

    def finish(self) -> None:
        """Until nothing is left."""
        self.do(Commit())
        while self.model.live:
            self.play([Plan(), Commit()])

    def do(self, op: Op) -> None:
        match op:
            case Submit():
                for _ in range(op.count):
                    self._submit(op)
            case Cancel():
                self._cancel(op.which % max(1, self.submitted))
            case Plan():
                self._plan()
            case Commit() | Fail():
                self._answer(op)

    def _submit(self, op: Submit) -> None:
        prompt = range(op.prompt)
        request = Request(tenant=op.tenant, prompt=prompt, max_tokens=op.max_tokens)
        id_ = self.kernel.submit(request)
        self.model.submit(id_, op.tenant, op.prompt, op.max_tokens)
        self.submitted += 1

    def _cancel(self, which: int) -> None:
        expected = self.model.cancel(which)
        assert expected == bool(self.kernel.cancel(RequestId(which)))

    def _plan(self) -> None:
        if self.outstanding is not None:
            return
        plan = self.kernel.plan()
        if isinstance(plan, Idle):
            assert not self.model.live
            return
        step = self.model.plan()
        assert step.enter == [each.request_id for each in plan.enter]
        assert sorted(step.decodes) == sorted(plan.decodes)
        assert step.chunks == {each.request_id: each.length for each in plan.chunks}
        assert sorted([*step.decodes, *step.sampling]) == sorted(sampled(plan))
        self.outstanding = plan

    def _answer(self, op: Commit | Fail) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        if isinstance(op, Fail):
            self.kernel.fail(plan.step_id)
            self.model.fail()
            return
        tokens = tokens_of(plan)
        stopped = stopped_by(op, tokens)
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        told = self.model.commit(stopped)
        assert told == sorted(each.request_id for each in events.finished)
        stops = [f for f in events.finished if f.reason is FinishReason.STOP]
        assert {each.request_id for each in stops} <= {*stopped}

    def compare_counters(self) -> None:
        if self.outstanding is not None:
            return  # who arrives during a step is lifted when it ends
        for tenant in self.kernel.snapshot().tenants:
            assert float(self.model.counters[tenant.tenant]) == tenant.counter


@part(1)
@given(
    program=programs,
    weights=weights_of_tenants,
    slots=st.integers(1, 8),
    budget=st.sampled_from([1, 2, 5, 16, 100]),
)
def test_the_kernel_admits_whom_the_model_admits_and_counts_alike(
    program: Program, weights: dict[str, float], slots: int, budget: int
) -> None:
    pair = Pair(weights, slots, budget)

    pair.play(program)
    pair.finish()

    assert pair.kernel.plan() is Idle.NO_WORK


# --- planted bugs: what the model is worth ------------------------------------------

STEP: Program = [Plan(), Commit()]
ALONE_THEN_TWO: Program = [
    Submit("a", 4, 4, count=6),
    *STEP * 12,
    Submit("b", 2, 4, count=6),
    *STEP * 12,
]


def test_the_model_agrees_with_the_kernel_on_the_example() -> None:
    pair = Pair({}, 2, 8)
    pair.play(ALONE_THEN_TWO)
    pair.finish()


def test_a_kernel_that_lifts_too_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self._idle.discard(tenant)
        self.backlogged.add(tenant)

    monkeypatch.setattr(VirtualCounters, "join", join)
    pair = Pair({}, 2, 8)

    with pytest.raises(AssertionError):
        pair.play(ALONE_THEN_TWO)


def test_a_kernel_that_refunds_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VirtualCounters, "refund", lambda *_: None)
    pair = Pair({}, 2, 2)

    with pytest.raises(AssertionError):
        pair.play([Submit("a", 8, 4), Plan(), Commit(), Cancel(0), Submit("a", 1, 1)])
