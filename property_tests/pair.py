"""A kernel and its model, to which the same is done, and which must answer the same."""

from collections.abc import Iterable
from fractions import Fraction
from math import isclose

from fairq import (
    Admission,
    Capacity,
    Events,
    Idle,
    Kernel,
    Policy,
    RequestId,
    RequestRejected,
    Snapshot,
    StepPlan,
    StepResult,
)
from fairq.kernel._admission import Optimistic
from property_tests.programs import (
    Cancel,
    Commit,
    Fail,
    Op,
    Plan,
    Setting,
    Submit,
    sampled,
    stopped_by,
)
from property_tests.reference import KernelModel, Rules
from property_tests.reference.admission import WHOLE
from property_tests.reference.kernel import EndModel, Rejection
from property_tests.reference.rules import UNIT
from property_tests.reference.step import StepModel

Row = tuple[object, ...]


def either(wanted: int | None, available: int) -> int:
    """What a policy asks for, or else all there is."""
    return available if wanted is None else wanted


def rules_of(capacity: Capacity, policy: Policy) -> Rules:
    """The same in plain numbers."""
    return Rules(
        blocks=capacity.blocks,
        block_size=capacity.block_size,
        sequences=either(policy.max_sequences, capacity.max_sequences),
        budget=either(policy.token_budget, capacity.tokens_per_step),
        weights=dict(policy.weights),
        prompt_cost=policy.cost.prompt,
        output_cost=policy.cost.output,
        slack=policy.discipline.slack,
        reserve=policy.admission is Admission.RESERVE,
        max_waiting=policy.max_waiting,
        max_waiting_per_tenant=policy.max_waiting_per_tenant,
        max_failures=policy.max_failures,
    )


# --- the same rows from both sides --------------------------------------------------


def rows_of_plan(plan: StepPlan) -> list[Row]:
    """All of a plan, now: ``decodes`` is a view."""
    rows: list[Row] = [("leave", *plan.leave), ("tokens", plan.tokens)]
    rows += [("grow", *pair) for pair in plan.grow]
    for each in plan.enter:
        tokens, prompt = list(each.tokens), each.prompt_length
        assert not each.cached
        rows += [("enter", each.request_id, each.slot, tokens, prompt, [*each.blocks])]
    rows += [("chunk", c.request_id, c.start, c.length, c.samples) for c in plan.chunks]
    rows += [("decode", id_, plan.decodes.slot(id_)) for id_ in plan.decodes]
    return rows


def rows_of_step(step: StepModel) -> list[Row]:
    """The same as the model has it."""
    rows: list[Row] = [("leave", *step.leave), ("tokens", step.tokens)]
    rows += [("grow", request.id, block) for request, block in step.grow]
    for each in step.enter:
        tokens, prompt = each.request.known, len(each.request.prompt)
        rows += [("enter", each.request.id, each.slot, tokens, prompt, each.blocks)]
    rows += [("chunk", c.request.id, c.start, c.length, c.samples) for c in step.chunks]
    rows += [("decode", request.id, request.slot) for request in step.decodes]
    return rows


def forecast_of(kernel: Kernel) -> tuple[int | None, int]:
    """What is not in a snapshot, and would show only many requests later."""
    rule = kernel._life.rule
    if isinstance(rule, Optimistic):
        return rule._mean, rule._margin
    return None, WHOLE


def rows_of_kernel(kernel: Kernel, now: Snapshot) -> list[Row]:
    """What a snapshot tells, the counters exactly."""
    rows: list[Row] = [
        ("requests", now.waiting, now.running, now.steps, now.now_ns),
        ("blocks", now.free_blocks, now.preemptions, now.recomputed_tokens),
        ("bound", now.gap_bound),
        ("forecast", *forecast_of(kernel)),
    ]
    for each in now.tenants:
        # A snapshot rounds counters to floats; what is behind it is exact.
        exact = Fraction(kernel._life.counters.tenants[each.tenant].counter, UNIT)
        assert float(exact) == each.counter
        tokens = (each.prompt_tokens, each.output_tokens)
        requests = (each.waiting, each.running, each.oldest_wait_ns)
        rows += [(each.tenant, exact, tokens, requests)]
    for request in now.requests:
        tokens = (request.prompt_tokens, request.output_tokens)
        where = (request.phase.value, [*request.blocks])
        rows += [(request.request_id, request.tenant, tokens, where)]
    return rows


def rows_of_model(model: KernelModel, now_ns: int) -> list[Row]:
    """The same as the model has it."""
    state, step = model.state, model.step
    taken = 0 if step is None else len(step.taken)
    bound = state.gap_bound
    rows: list[Row] = [
        ("requests", state.waiting, len(state.batch), state.steps, now_ns),
        ("blocks", len(state.free) - taken, state.preemptions, state.recomputed),
        ("bound", None if bound is None else float(bound)),
        ("forecast", state.admission.mean, state.admission.part),
    ]
    for each in state.counters.tenants.values():
        wait = now_ns - each.queue[0].submitted_ns if each.queue else 0
        tokens = (each.prompt_tokens, each.output_tokens)
        requests = (len(each.queue), len(each.running), wait)
        rows += [(each.name, each.counter, tokens, requests)]
    for request in state.requests.values():
        tokens = (len(request.prompt), len(request.outputs))
        where = (request.phase, [*request.blocks])
        rows += [(request.id, request.tenant, tokens, where)]
    return rows


def rows_of_events(events: Events) -> list[Row]:
    """Who is over, and who was preempted."""
    ends = [(f.request_id, f.reason.value, f.output_tokens) for f in events.finished]
    return [("ends", *ends), ("preempted", *events.preempted)]


def rows_of_ends(ends: list[EndModel], preempted: list[int]) -> list[Row]:
    """The same as the model has it."""
    told = [(end.id, end.reason, end.produced) for end in ends]
    return [("ends", *told), ("preempted", *preempted)]


# --- both ---------------------------------------------------------------------------


class Pair:
    """Plays programs; the first difference is an ``AssertionError``."""

    def __init__(self, setting: Setting) -> None:
        self.kernel = setting.kernel()
        self.model = KernelModel(rules_of(setting.capacity, setting.policy))
        if setting.misled:
            self.model.state.admission.mean = 0
        self.outstanding: StepPlan | None = None
        self.submitted = 0
        self.time = 0

    def play(self, program: Iterable[Op]) -> None:
        """Do something to both and compare them after each call."""
        for op in program:
            self.do(op)

    def finish(self) -> None:
        """Answer what is outstanding, and go on until nothing is left."""
        self.do(Commit())
        for _ in range(10_000):
            self.do(Plan())
            if self.outstanding is None:
                assert self.kernel.plan() is Idle.NO_WORK
                return
            self.do(Commit())
        msg = "It does not come to an end."
        raise AssertionError(msg)

    def do(self, op: Op) -> None:
        """One move; several of a ``Submit``, and they are compared after each."""
        match op:
            case Submit():
                for _ in range(op.count):
                    self._submit(op)
                    self._compare()
                return
            case Cancel():
                self._cancel(op.which % max(1, self.submitted))
            case Plan():
                self._plan()
            case Commit() | Fail():
                self._answer(op)
        self._compare()

    def _compare(self) -> None:
        now = self.kernel.snapshot()
        assert rows_of_model(self.model, self.time) == rows_of_kernel(self.kernel, now)
        for tenant in now.tenants:
            model = self.model.state.counters.tenants[tenant.tenant]
            service = float(model.service * Fraction(tenant.weight))
            assert isclose(service, tenant.service, rel_tol=1e-12)

    def _submit(self, op: Submit) -> None:
        self.time += 1
        prompt = list(range(op.prompt))
        told = self.model.submit(op.tenant, prompt, op.max_tokens, self.time)
        answer: int | Rejection
        try:
            answer = self.kernel.submit(op.request(), self.time)
        except RequestRejected as error:
            answer = Rejection(error.retryable, error.needed, error.available)
            self.time = self.kernel.snapshot().now_ns
        else:
            self.submitted += 1
        assert told == answer

    def _cancel(self, which: int) -> None:
        told = rows_of_ends(self.model.cancel(which), [])
        assert told == rows_of_events(self.kernel.cancel(RequestId(which)))

    def _plan(self) -> None:
        if self.outstanding is not None:
            assert self.kernel.plan() is Idle.AWAITING_RESULT
            return
        self.time += 1
        step = self.model.plan()
        plan = self.kernel.plan(self.time)
        if isinstance(plan, Idle):
            assert plan is Idle.NO_WORK
            assert step is None
            return
        assert step is not None
        assert rows_of_step(step) == rows_of_plan(plan)
        self.outstanding = plan

    def _answer(self, op: Commit | Fail) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        if isinstance(op, Fail):
            told = rows_of_ends(*self.model.fail())
            assert told == rows_of_events(self.kernel.fail(plan.step_id))
            return
        tokens = self._tokens(plan)
        stopped = stopped_by(op, tokens)
        numbers = {int(id_): token for id_, token in tokens.items()}
        told = rows_of_ends(*self.model.commit(numbers, stopped))
        result = StepResult(plan.step_id, tokens, stopped)
        events = self.kernel.commit(result)
        assert told == rows_of_events(events)
        assert events.tokens is tokens

    def _tokens(self, plan: StepPlan) -> dict[RequestId, int]:
        """One for everybody who gets one, and no two alike in the life of a request."""
        return {id_: 100 * plan.step_id + id_ for id_ in sampled(plan)}
