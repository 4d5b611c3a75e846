"""Nobody starves: how long anything can take follows from the work that is there."""

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Enter,
    Fcfs,
    Kernel,
    Policy,
    Request,
    RequestId,
    Snapshot,
    StepPlan,
    StepResult,
    Vtc,
)
from property_tests.effort import part
from property_tests.models import BatchModel, ModelRequest
from property_tests.programs import (
    WEIGHTS,
    Setting,
    Submit,
    capacities,
    sampled,
    submits,
)

CLOSE = 1e-6


@attrs.frozen
class Visit:
    """Some requests, so many steps after the ones before."""

    after: int
    submit: Submit


visits = st.builds(Visit, st.sampled_from([0, 0, 1, 2, 9]), submits)
workloads = st.lists(visits, min_size=2, max_size=10)


class Watched:
    """A kernel that is driven, beside the batch as the backend sees it."""

    def __init__(self, setting: Setting) -> None:
        capacity = setting.capacity
        budget = capacity.tokens_per_step
        slots = min(capacity.max_sequences, budget)
        self.kernel: Kernel = setting.kernel()
        self.model = BatchModel(capacity.blocks, capacity.block_size, slots, budget)
        self.order: list[int] = []
        """Who has entered, in the order of the last time."""
        self.entered: dict[int, int] = {}
        self.finished: dict[int, int] = {}
        self.due: dict[int, int] = {}
        """The step by which a member must be done."""
        self.steps = 0

    def submit(self, submit: Submit) -> None:
        capacity = self.model.blocks * self.model.block_size
        for _ in range(submit.count):
            request = submit.request()
            if submit.prompt + submit.max_tokens - 1 <= capacity:
                self.accept(request)

    def accept(self, request: Request) -> RequestId:
        id_ = self.kernel.submit(request)
        self.model.requests[id_] = ModelRequest(
            request.tenant, list(request.prompt), request.max_tokens
        )
        return id_

    def step(self) -> StepPlan | None:
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return None
        self.model.check_plan(plan)
        tokens = dict.fromkeys(sampled(plan), 1)
        self.model.apply(plan, tokens)
        self.steps += 1
        for enter in plan.enter:
            if enter.request_id in self.order:
                self.order.remove(enter.request_id)
            self.order.append(enter.request_id)
            self.entered.setdefault(enter.request_id, self.steps)
            self.due[enter.request_id] = self.steps + self._left(enter)
        for finished in self.kernel.commit(StepResult(plan.step_id, tokens)).finished:
            self.model.requests[finished.request_id].live = False
            self.finished[finished.request_id] = self.steps
        return plan

    def _left(self, enter: Enter) -> int:
        """Steps until a newcomer is done, if nobody is thrown out.

        Each step computes at least one position of the first prompt that is not done.
        """
        requests = self.model.requests
        me = requests[enter.request_id]
        ahead = [id_ for id_ in self.order if requests[id_].live]
        prompts = sum(
            len(requests[id_].known) - requests[id_].computed
            for id_ in ahead[: ahead.index(enter.request_id) + 1]
            if not requests[id_].decoding
        )
        # Its token of this very step is in ``outputs`` already.
        return prompts + me.max_tokens - len(me.outputs)

    def play(self, workload: list[Visit]) -> None:
        for visit in workload:
            for _ in range(visit.after):
                self.step()
            self.submit(visit.submit)
        self.drain()

    def drain(self) -> None:
        while self.step() is not None:
            assert self.steps < 50_000

    def delivered(self) -> int:
        return sum(len(each.outputs) for each in self.model.requests.values())

    def work(self) -> int:
        """Positions that everybody needs: the last token is never fed back."""
        each = self.model.requests.values()
        return sum(len(r.prompt) + r.max_tokens - 1 for r in each)


def reserving(capacity: Capacity, slack: float = 0.0) -> Setting:
    policy = Policy(
        weights=WEIGHTS, admission=Admission.RESERVE, discipline=Vtc(slack=slack)
    )
    return Setting(capacity, policy)


# --- how long -----------------------------------------------------------------------


@given(workload=workloads, capacity=capacities, slack=st.sampled_from([0.0, 9.0]))
def test_a_member_is_done_when_the_prompts_before_it_and_its_own_work_are(
    workload: list[Visit], capacity: Capacity, slack: float
) -> None:
    watched = Watched(reserving(capacity, slack))

    watched.play(workload)

    assert watched.model.requests.keys() == watched.finished.keys()
    for id_, step in watched.finished.items():
        assert step <= watched.due[id_]


@given(
    workload=workloads,
    capacity=capacities,
    discipline=st.sampled_from([Vtc(), Vtc(slack=9.0), Fcfs()]),
    misled=st.booleans(),
)
def test_all_ends_in_as_many_steps_as_there_are_positions_to_compute(
    workload: list[Visit], capacity: Capacity, discipline: Vtc | Fcfs, *, misled: bool
) -> None:
    policy = Policy(weights=WEIGHTS, discipline=discipline)
    watched = Watched(Setting(capacity, policy, misled))

    watched.play(workload)

    snapshot = watched.kernel.snapshot()
    assert watched.model.requests.keys() == watched.finished.keys()
    assert watched.steps <= watched.work() + snapshot.recomputed_tokens


@given(workload=workloads, capacity=capacities)
def test_preemptions_are_bounded_by_the_tokens_delivered(
    workload: list[Visit], capacity: Capacity
) -> None:
    """A token pays for two of them, at most.

    One for a victim whose block it needed, in its own step; and one for the sequence
    it belongs to, which is not thrown out for its own sake before it has a token more.
    """
    watched = Watched(Setting(capacity, Policy(weights=WEIGHTS), misled=True))

    watched.play(workload)

    snapshot = watched.kernel.snapshot()
    largest = capacity.blocks * capacity.block_size
    event(f"preemptions {min(snapshot.preemptions, 5)}")
    assert snapshot.preemptions <= 2 * watched.delivered()
    assert snapshot.recomputed_tokens <= snapshot.preemptions * largest


@given(
    capacity=capacities,
    flood=st.builds(Submit, st.just("flood"), st.integers(1, 8), st.integers(1, 8)),
    before=st.integers(1, 20),
    prompt=st.integers(1, 8),
)
def test_a_flood_delays_a_newcomer_by_what_runs_and_one_request_more(
    capacity: Capacity, flood: Submit, before: int, prompt: int
) -> None:
    capacity = attrs.evolve(capacity, blocks=16 * capacity.blocks)
    watched = Watched(reserving(capacity))
    for _ in range(before):
        watched.submit(attrs.evolve(flood, count=3))
        watched.step()
    members = watched.model.members.values()
    running = sum(len(m.known) - m.computed for m in members if not m.decoding)
    running += max((m.max_tokens - len(m.outputs) for m in members), default=0)

    newcomer = watched.accept(
        Request(tenant="newcomer", prompt=range(prompt), max_tokens=1)
    )
    arrived = watched.steps
    while newcomer not in watched.entered:
        watched.submit(attrs.evolve(flood, count=3))
        watched.step()

    # With equal counters the older request goes first: that is the one request more.
    bound = running + flood.prompt + flood.max_tokens + 1
    assert watched.entered[newcomer] - arrived <= bound


# --- in which order -----------------------------------------------------------------


def queues(watched: Watched) -> dict[str, list[int]]:
    """Who waits, by tenant, oldest first."""
    waiting: dict[str, list[int]] = {}
    for id_, request in watched.model.live().items():
        if request.slot is None:
            waiting.setdefault(request.tenant, []).append(id_)
    return waiting


def check_turns(
    plan: StepPlan, snapshot: Snapshot, watched: Watched, slack: float
) -> None:
    """Every newcomer was the head of a tenant that was inside the gate."""
    counters = {each.tenant: each.counter for each in snapshot.tenants}
    waiting = queues(watched)
    for enter in plan.enter:
        request = watched.model.requests[enter.request_id]
        queue = waiting[request.tenant]
        lowest = min(counters[tenant] for tenant in waiting)
        assert queue.pop(0) == enter.request_id
        assert counters[request.tenant] <= lowest + slack + CLOSE
        if not queue:
            del waiting[request.tenant]
        if enter.request_id not in watched.entered:
            charge = len(request.prompt) / WEIGHTS[request.tenant]
            counters[request.tenant] += charge


@part(2)
@given(
    workload=workloads,
    capacity=capacities,
    admission=st.sampled_from(Admission),
    slack=st.sampled_from([0.0, 0.0, 5.0, 40.0]),
    misled=st.booleans(),
)
def test_only_tenants_within_the_slack_of_the_smallest_counter_are_admitted(
    workload: list[Visit],
    capacity: Capacity,
    admission: Admission,
    slack: float,
    *,
    misled: bool,
) -> None:
    policy = Policy(weights=WEIGHTS, admission=admission, discipline=Vtc(slack=slack))
    watched = Watched(Setting(capacity, policy, misled))
    for visit in workload:
        watched.submit(visit.submit)

    while True:
        before = watched.kernel.snapshot()
        plan = watched.kernel.plan()
        if not isinstance(plan, StepPlan):
            break
        check_turns(plan, before, watched, slack)
        watched.kernel.fail(plan.step_id)
        watched.step()


@part(2)
@given(workload=workloads, capacity=capacities, admission=st.sampled_from(Admission))
def test_first_come_is_first_served(
    workload: list[Visit], capacity: Capacity, admission: Admission
) -> None:
    policy = Policy(discipline=Fcfs(), admission=admission)
    watched = Watched(Setting(capacity, policy, misled=True))

    for visit in workload:
        watched.submit(visit.submit)
        for _ in range(visit.after):
            waiting = sorted(id_ for queue in queues(watched).values() for id_ in queue)
            plan = watched.step()
            entered = [] if plan is None else [e.request_id for e in plan.enter]
            assert waiting[: len(entered)] == entered
    watched.drain()
