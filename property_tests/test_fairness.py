"""The gap between backlogged tenants stays within the bound the kernel states.

The bound is computed from what the run itself committed, so it is tight enough to bite:
the planted bugs at the end break it.
"""

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Fcfs,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    Vtc,
)
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from property_tests.models import BatchModel, GapModel, ModelRequest

WEIGHTS = {"a": 1.0, "b": 1.0, "c": 4.0, "d": 0.5}


@attrs.frozen
class Burst:
    """Some equal requests of one tenant, some steps after the burst before."""

    after: int
    tenant: str
    count: int
    prompt: int
    max_tokens: int
    stops_at: int
    meanwhile: bool = False
    """It comes while a step runs."""


bursts = st.builds(
    Burst,
    after=st.sampled_from([0, 0, 1, 5, 40]),
    tenant=st.sampled_from(sorted(WEIGHTS)),
    count=st.integers(1, 15),
    prompt=st.integers(1, 10),
    max_tokens=st.integers(1, 10),
    stops_at=st.integers(1, 10),
    meanwhile=st.booleans(),
)
capacities = st.builds(
    Capacity,
    blocks=st.integers(20, 40),
    block_size=st.sampled_from([1, 2]),
    max_sequences=st.integers(1, 8),
    tokens_per_step=st.sampled_from([2, 8, 64]),
)
policies = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=st.sampled_from([Vtc(), Vtc(slack=5.0), Vtc(slack=200.0)]),
    admission=st.sampled_from(Admission),
)


class Run:
    """One workload, driven to its end, with the gap measured from the plans."""

    def __init__(self, capacity: Capacity, policy: Policy) -> None:
        self.kernel = Kernel(capacity, policy)
        size, slots = capacity.block_size, capacity.max_sequences
        budget = capacity.tokens_per_step
        self.model = BatchModel(capacity.blocks, size, min(slots, budget), budget)
        self.gap = GapModel(dict(policy.weights))
        self.stops: dict[int, int] = {}

    def submit(self, burst: Burst, *, meanwhile: bool = False) -> None:
        for _ in range(burst.count):
            prompt = [1] * burst.prompt
            request = Request(
                tenant=burst.tenant, prompt=prompt, max_tokens=burst.max_tokens
            )
            request_id = self.kernel.submit(request)
            model = ModelRequest(burst.tenant, prompt, burst.max_tokens)
            model.arriving = meanwhile
            self.model.requests[request_id] = model
            self.stops[request_id] = burst.stops_at
            self.gap.observe(self.model.backlogged())

    def step(self, meanwhile: Burst | None = None) -> bool:
        """One step, in which a burst may arrive; False when there was nothing to do."""
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return False
        self.model.check_plan(plan)
        if meanwhile is not None:
            self.submit(meanwhile, meanwhile=True)
        sampling = [chunk.request_id for chunk in plan.chunks if chunk.samples]
        tokens = dict.fromkeys([*plan.decodes, *sampling], 1)
        before = self.model.backlogged()
        for name, service in self.model.apply(plan, tokens).items():
            self.gap.add(name, service)
        self.gap.observe(before)
        events = self.kernel.commit(
            StepResult(plan.step_id, tokens, self._stopped(tokens))
        )
        for finished in events.finished:
            self.model.requests[finished.request_id].live = False
        self.gap.observe(self.model.backlogged())
        self.model.answered()
        self.gap.observe(self.model.backlogged())
        return True

    def _stopped(self, tokens: dict[RequestId, int]) -> tuple[RequestId, ...]:
        outputs = {id_: len(self.model.requests[id_].outputs) for id_ in tokens}
        return tuple(id_ for id_ in tokens if outputs[id_] >= self.stops[id_])

    def play(self, workload: list[Burst]) -> None:
        for burst in workload:
            for _ in range(burst.after):
                self.step()
            if not burst.meanwhile or not self.step(burst):
                self.submit(burst)

    def finish(self) -> None:
        while self.step():
            pass

    def check(self) -> None:
        self.kernel.check()
        bound = self.kernel.snapshot().gap_bound
        assert bound is not None
        assert float(self.gap.largest) <= bound * (1 + 1e-6)


@given(
    workload=st.lists(bursts, min_size=2, max_size=8),
    capacity=capacities,
    policy=policies,
)
def test_no_gap_exceeds_the_stated_bound(
    workload: list[Burst], capacity: Capacity, policy: Policy
) -> None:
    run = Run(capacity, policy)
    run.play(workload)
    run.finish()
    run.check()


# --- planted bugs: what the oracle is worth ----------------------------------------

SMALL = Capacity(blocks=40, block_size=2, max_sequences=2, tokens_per_step=8)


def play(workload: list[Burst], policy: Policy | None = None) -> Run:
    run = Run(SMALL, Policy(weights=WEIGHTS) if policy is None else policy)
    run.play(workload)
    run.finish()
    return run


def long_after(tenant: str) -> list[Burst]:
    """One tenant works alone for long; then a second comes and both are backlogged."""
    return [
        Burst(0, "c", 2, 4, 4, 9),
        Burst(0, tenant, 60, 4, 4, 9),
        Burst(200, "b", 60, 4, 4, 9),
        Burst(0, tenant, 60, 4, 4, 9),
    ]


def test_a_long_absence_banks_no_credit() -> None:
    play(long_after("a")).check()


def test_coming_back_during_the_last_step_of_the_own_queue_banks_no_credit() -> None:
    """It would never be lifted, and let others wait for as long as it had been modest.

    While its only request is in the outstanding plan others are let past it.
    """
    run = Run(SMALL, Policy())
    run.play([Burst(0, "a", 100, 4, 1, 9), Burst(0, "b", 1, 1, 1, 1)])
    for _ in range(25):
        run.step(Burst(0, "b", 1, 1, 1, 1))
    run.submit(Burst(0, "b", 60, 4, 1, 9))
    run.finish()

    run.check()


def test_a_kernel_without_the_lift_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self._idle.discard(tenant)
        self.backlogged.add(tenant)

    monkeypatch.setattr(VirtualCounters, "join", join)
    run = play(long_after("a"))

    with pytest.raises(AssertionError):
        run.check()


def test_a_kernel_that_forgets_to_charge_prompts_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def charge(
        self: VirtualCounters, tenant: Tenant, prompt: int, outputs: int
    ) -> None:
        tenant.lifted -= tenant.prompt_price * prompt
        original(self, tenant, prompt, outputs)

    original: Callable[[VirtualCounters, Tenant, int, int], None]
    original = VirtualCounters.charge_admission
    monkeypatch.setattr(VirtualCounters, "charge_admission", charge)
    run = play([Burst(0, "a", 60, 20, 1, 9), Burst(0, "b", 60, 1, 5, 9)])

    with pytest.raises(AssertionError):
        run.check()


def test_first_come_first_served_exceeds_what_would_be_the_bound() -> None:
    workload = [Burst(0, "a", 100, 4, 4, 9), Burst(0, "b", 100, 4, 4, 9)]
    fair = play(workload)
    fcfs = play(workload, Policy(weights=WEIGHTS, discipline=Fcfs()))
    bound = fair.kernel.snapshot().gap_bound
    assert bound is not None

    assert fcfs.gap.largest > 5 * bound
    assert fcfs.kernel.snapshot().gap_bound is None
