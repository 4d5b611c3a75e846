"""The gap meter of the simulator measures what a look at every pair would."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import (
    Capacity,
    Fcfs,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    StepPlan,
    StepResult,
)
from fairq.sim._gap import GapMeter
from property_tests.effort import part
from property_tests.models import BatchModel, GapModel, ModelRequest
from property_tests.programs import (
    TENANTS,
    WEIGHTS,
    Commit,
    Fail,
    Op,
    Plan,
    Program,
    Setting,
    Submit,
    programs,
    settings_of_kernels,
    stopped_by,
    tokens_of,
)


class Measured:
    """A kernel that is driven, with the meter and with the oracle."""

    def __init__(self, setting: Setting) -> None:
        capacity = setting.capacity
        budget = capacity.tokens_per_step
        slots = min(capacity.max_sequences, budget)
        self.kernel = setting.kernel()
        self.meter = GapMeter(setting.policy)
        self.model = BatchModel(capacity.blocks, capacity.block_size, slots, budget)
        self.oracle = GapModel(WEIGHTS)
        self.outstanding: StepPlan | None = None
        self.arrived: list[tuple[RequestId, Request]] = []

    def do(self, op: Op) -> None:
        match op:
            case Submit():
                for _ in range(op.count):
                    self._submit(op)
            case Plan():
                self._plan()
            case Commit():
                self._commit(op)
            case Fail():
                self._fail()
            case _:
                pass  # a replay cancels nothing

    def _submit(self, op: Submit) -> None:
        request = op.request()
        try:
            id_ = self.kernel.submit(request)
        except RequestRejected:
            return
        model = ModelRequest(op.tenant, list(request.prompt), op.max_tokens)
        model.arriving = True
        self.model.requests[id_] = model
        self.arrived.append((id_, request))
        if self.outstanding is None:
            self._answered()

    def _answered(self) -> None:
        """Whoever arrived while a step ran begins to wait when it ends."""
        self.oracle.observe(self.model.backlogged())
        self.model.answered()
        for id_, request in self.arrived:
            self.meter.arrived(id_, request.tenant, len(request.prompt))
        self.arrived.clear()
        self.oracle.observe(self.model.backlogged())

    def _plan(self) -> None:
        if self.outstanding is None:
            plan = self.kernel.plan()
            self.outstanding = plan if isinstance(plan, StepPlan) else None

    def _commit(self, op: Commit) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        tokens = tokens_of(plan)
        before = self.model.backlogged()
        for name, service in self.model.apply(plan, tokens).items():
            self.oracle.add(name, service)
        # The work was done while these waited: who entered with it did not any more.
        waiting = self.model.backlogged()
        self.oracle.observe([name for name in before if name in waiting])
        result = StepResult(plan.step_id, tokens, stopped_by(op, tokens))
        events = self.kernel.commit(result)
        for finished in events.finished:
            self.model.requests[finished.request_id].live = False
        self.meter.committed(plan, events)
        self._answered()

    def _fail(self) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        events = self.kernel.fail(plan.step_id)
        for finished in events.finished:
            self.model.requests[finished.request_id].live = False
        self.meter.failed(events)
        self._answered()

    def finish(self) -> None:
        while self.model.live():
            self.do(Plan())
            self.do(Commit())

    def check(self) -> None:
        expected = float(self.oracle.largest)
        assert expected == pytest.approx(self.meter.largest_gap(), abs=1e-6)


@given(setting=settings_of_kernels, program=programs, often=st.booleans())
def test_the_meter_measures_what_a_look_at_every_pair_would(
    setting: Setting, program: Program, *, often: bool
) -> None:
    """Asked after every move, or only at the end: asking changes nothing."""
    measured = Measured(setting)

    for op in program:
        measured.do(op)
        if often:
            measured.check()
    measured.finish()

    measured.check()


long_queues = st.lists(
    st.builds(
        Submit,
        tenant=st.sampled_from(TENANTS),
        prompt=st.sampled_from([1, 2, 9]),
        max_tokens=st.sampled_from([1, 5, 12]),
        count=st.integers(1, 6),
    ),
    min_size=4,
    max_size=10,
)


@part(2)
@given(queues=long_queues, slots=st.integers(2, 6), budget=st.sampled_from([4, 9, 40]))
def test_tenants_that_wait_long_are_measured_at_every_turn(
    queues: list[Submit], slots: int, budget: int
) -> None:
    """Long queues, first come first served: differences rise and fall again."""
    capacity = Capacity(
        blocks=64, block_size=4, max_sequences=slots, tokens_per_step=budget
    )
    policy = Policy(weights=WEIGHTS, discipline=Fcfs())
    measured = Measured(Setting(capacity, policy))
    for submit in queues:
        measured.do(submit)

    measured.finish()

    measured.check()


@given(setting=settings_of_kernels, program=programs)
def test_the_meter_forgets_everybody_who_is_gone(
    setting: Setting, program: Program
) -> None:
    measured = Measured(setting)

    for op in program:
        measured.do(op)
    measured.finish()

    meter = measured.meter
    assert ({}, {}, {}) == (meter._flights, meter._paces, meter._backlog)


def test_a_known_gap_is_measured() -> None:
    """Alone in the batch, a gets 4 + 2 while b waits; b gets nothing."""
    setting = Setting(Capacity(blocks=8, max_sequences=1), Policy())
    measured = Measured(setting)

    for op in (Submit("a", 4, 3, count=2), Submit("b", 4, 3), Plan(), Commit()):
        measured.do(op)

    assert measured.meter.largest_gap() == 6.0
