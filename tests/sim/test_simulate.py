"""A trace through the kernel in virtual time."""

import attrs
import pytest

from fairq.disciplines import Fcfs, Vtc
from fairq.errors import BackendError, InvariantError, UsageError
from fairq.plan import DecodeSet, StepId, StepPlan, StepResult
from fairq.policy import Admission, Policy
from fairq.request import Request
from fairq.sim import Job, Record, Run, Trace, bundled_trace, simulate
from tests.sim.machine import SECOND, Machine

FCFS = Policy(discipline=Fcfs())


def trace(*jobs: Job) -> Trace:
    return Trace("test", jobs)


def run(*jobs: Job, policy: Policy = FCFS, blocks: int = 1000) -> Run:
    return simulate(trace(*jobs), Machine(blocks=blocks), policy)


def test_a_token_comes_at_the_end_of_its_step() -> None:
    found = run(Job("a", 0.0, 10, 3))
    assert found.records == (Record("a", 10, 3, 0.0, 1.0, 3.0),)
    assert found.totals.steps == 3
    assert found.totals.seconds == 3.0
    assert found.totals.tokens_per_s == 13 / 3


def test_an_idle_machine_jumps_to_the_next_arrival() -> None:
    found = run(Job("a", 7.5, 10, 1), Job("a", 100.0, 10, 2))
    first, second = found.records
    assert first == Record("a", 10, 1, 7.5, 1.0, 1.0)
    assert second == Record("a", 10, 2, 100.0, 1.0, 2.0)


def test_who_arrives_during_a_step_joins_the_next_one() -> None:
    found = run(Job("a", 0.0, 10, 5), Job("b", 0.25, 10, 1), Job("c", 1.0, 10, 1))
    latencies = [record.first_token_latency_s for record in found.records]
    assert latencies == [1.0, 1.75, 1.0]


def test_the_kernel_hears_of_an_arrival_before_the_step_ends() -> None:
    policy = Policy(max_waiting=2)
    jobs = [Job("a", 0.0, 10, 1), *(Job("b", 0.5, 10, 1) for _ in range(3))]
    # Until the step is over the first still counts, so one more fills the queue.
    found = run(*jobs, policy=policy)
    assert found.totals.rejected == 2


def test_who_arrives_as_a_step_ends_is_heard_after_it() -> None:
    jobs = [Job("a", 0.0, 10, 1), Job("b", 1.0, 10, 1)]
    assert run(*jobs, policy=Policy(max_waiting=1)).totals.rejected == 0


def test_a_prompt_in_chunks_gives_its_first_token_with_the_last_chunk() -> None:
    policy = Policy(token_budget=4, max_sequences=4)
    found = run(Job("a", 0.0, 10, 2), policy=policy)
    assert found.records == (Record("a", 10, 2, 0.0, 3.0, 4.0),)


def test_the_output_ends_where_the_trace_says_or_where_the_kernel_stops_it() -> None:
    jobs = trace(Job("a", 0.0, 10, 8), Job("a", 0.0, 10, 2))
    told = simulate(jobs, Machine(), FCFS, max_tokens=5)
    assert [record.output_tokens for record in told.records] == [5, 2]
    exact = simulate(jobs, Machine(), FCFS)
    assert [record.output_tokens for record in exact.records] == [8, 2]


def test_a_request_that_can_never_fit_is_recorded_and_stops_nobody() -> None:
    jobs = (Job("a", 0.0, 33, 1), Job("a", 0.0, 10**15, 9), Job("b", 0.0, 10, 1))
    found = run(*jobs, blocks=2)
    assert found.records == (
        Record("a", 33, 1, 0.0, -1.0, -1.0),
        Record("a", 10**15, 9, 0.0, -1.0, -1.0),
        Record("b", 10, 1, 0.0, 1.0, 1.0),
    )
    assert (3, 1, 2) == attrs.astuple(found.totals)[:3]
    assert (10, 1) == (found.totals.prompt_tokens, found.totals.output_tokens)


def test_a_prompt_as_large_as_the_pool_is_run() -> None:
    assert run(Job("a", 0.0, 32, 1), blocks=2).totals.finished == 1


def test_a_failed_step_takes_no_time_and_its_requests_run_again() -> None:
    machine = Machine(faults=(1, 2))
    found = simulate(trace(Job("a", 0.0, 10, 3)), machine, FCFS)
    assert found.records == (Record("a", 10, 3, 0.0, 1.0, 3.0),)
    assert found.failed_steps == 2
    assert found.totals.steps == 3


def test_requests_that_are_given_up_are_recorded_as_rejected() -> None:
    machine = Machine(faults=range(1, 5))
    jobs = trace(Job("a", 0.0, 10, 3), Job("b", 1.0, 10, 1), Job("b", 9.0, 10, 1))
    found = simulate(jobs, machine, FCFS)
    latencies = [record.request_latency_s for record in found.records]
    assert latencies == [-1.0, -1.0, 1.0]
    assert found.totals.rejected == 2
    assert found.failed_steps == 4


def test_who_was_given_up_is_compared_with_nobody() -> None:
    machine = Machine(faults=(0,), max_sequences=1)
    jobs = trace(Job("a", 0.0, 9, 1), Job("b", 2.0, 9, 9), Job("b", 2.0, 9, 9))
    found = simulate(jobs, machine, attrs.evolve(FCFS, max_failures=0))
    assert found.totals.rejected == 1
    assert found.largest_gap == 0.0


def test_a_preempted_request_keeps_the_time_of_its_first_token() -> None:
    # Short outputs make the kernel expect more of them, and admit too many.
    short = [Job("a", 0.0, 16, 1)] * 20
    jobs = [Job("a", 30.0, 16, 60), Job("b", 30.0, 16, 60)]
    found = run(*short, *jobs, blocks=6)
    assert found.totals.preemptions
    assert found.totals.recomputed_tokens
    first, second = found.records[20:]
    assert (1.0, 60) == (first.first_token_latency_s, first.output_tokens)
    assert (1.0, 60) == (second.first_token_latency_s, second.output_tokens)


def test_the_same_arguments_give_the_same_run() -> None:
    jobs = Trace("head", bundled_trace().jobs[:100])
    runs = [simulate(jobs, Machine(blocks=100), Policy()) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("admission", Admission)
def test_the_arena_trace_is_replayed_whole_and_inside_the_bound(
    admission: Admission,
) -> None:
    machine = Machine(blocks=625, step_ns=SECOND // 20)
    policy = Policy(discipline=Vtc(), admission=admission)
    found = simulate(bundled_trace(), machine, policy)
    assert found.policy == "vtc"
    assert found.totals.finished == 1500
    assert found.totals.output_tokens == sum(
        j.output_tokens for j in bundled_trace().jobs
    )
    assert found.bound is not None
    assert 0 < found.largest_gap <= found.bound


def test_first_come_first_served_has_a_gap_and_no_bound() -> None:
    jobs = Trace("head", bundled_trace().jobs[:400])
    found, fair = (
        simulate(jobs, Machine(blocks=300, step_ns=SECOND // 5), policy)
        for policy in (FCFS, Policy())
    )
    assert found.bound is None
    assert found.largest_gap > 2 * fair.largest_gap


def test_progress_is_told_about_a_hundred_times_and_at_the_end() -> None:
    told: list[int] = []
    jobs = [Job("a", 0.0, 1, 1)] * 499 + [Job("a", 1.0, 10**6, 1)]
    simulate(trace(*jobs), Machine(), FCFS, progress=told.append)
    assert told == list(range(5, 501, 5))
    told.clear()
    simulate(trace(*jobs[:3]), Machine(), FCFS, progress=told.append)
    assert told == [1, 2, 3]


def test_a_weight_for_a_tenant_that_is_not_in_the_trace_is_refused() -> None:
    policy = Policy(weights={"ann": 1.0, "bop": 2.0})
    jobs = (Job("bob", 0.0, 1, 1), Job("ann", 0.0, 1, 1))
    with pytest.raises(UsageError) as caught:
        run(*jobs, policy=policy)
    assert "'bop', which is not in the trace 'test'" in str(caught.value)
    assert "Did you mean 'bob'?" in str(caught.value)
    assert "Its tenants are: ann, bob." in str(caught.value)


@pytest.mark.parametrize("max_tokens", [0, -1, True])
def test_a_limit_of_no_tokens_is_refused(max_tokens: int) -> None:
    with pytest.raises(UsageError, match="max_tokens must be None or >= 1; got"):
        simulate(trace(Job("a", 0.0, 1, 1)), Machine(), FCFS, max_tokens=max_tokens)


class Backwards(Machine):
    def step(self, plan: StepPlan) -> StepResult:
        return attrs.evolve(super().step(plan), elapsed_ns=-1)


class Silent(Machine):
    def step(self, plan: StepPlan) -> StepResult:
        self.plans.append(plan)
        return None  # type: ignore[return-value]  # the mistake under test


@pytest.mark.parametrize("machine", [Backwards(), Silent()], ids=["time", "type"])
def test_a_backend_that_answers_nonsense_is_named(machine: Machine) -> None:
    with pytest.raises(BackendError, match="expected a StepResult with elapsed_ns"):
        simulate(trace(Job("a", 0.0, 1, 1)), machine, FCFS)


class Stalled:
    """A kernel that has work and plans none of it."""

    def __init__(self, *_: object) -> None:
        self.step_id = StepId(3)

    def submit(self, *_: object) -> int:
        return 0

    def plan(self, _: int) -> StepPlan:
        return StepPlan(
            step_id=self.step_id,
            leave=(),
            grow=(),
            enter=(),
            chunks=(),
            decodes=DecodeSet({}),
        )

    def snapshot(self) -> str:
        return "as it was"


def test_a_kernel_that_plans_nothing_does_not_hang_the_replay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fairq.sim._simulate.Kernel", Stalled)
    with pytest.raises(InvariantError, match="Step 3 has nothing to compute") as caught:
        run(Job("a", 0.0, 1, 1))
    assert caught.value.snapshot == "as it was"


def test_an_empty_trace_is_over_at_once() -> None:
    found = run()
    assert found.records == ()
    assert found.totals.seconds == 0.0
    assert found.totals.tokens_per_s == 0.0


def test_prompts_are_shared_by_length() -> None:
    machine = Machine()
    jobs = [Job("a", 0.0, 50, 1), Job("b", 0.0, 50, 1)]
    simulate(trace(*jobs), machine, FCFS)
    first, second = machine.plans[0].enter
    assert first.tokens == second.tokens


# --- requests of the caller -----------------------------------------------------------


def made(_index: int, job: Job) -> Request:
    prompt = range(1, job.prompt_tokens + 1)
    return Request(
        tenant=job.client,
        prompt=prompt,
        max_tokens=job.output_tokens + 1,
        sampling={"output_tokens": job.output_tokens},
    )


def test_the_backend_gets_the_requests_of_the_caller() -> None:
    asked: list[tuple[int, Job]] = []

    def request(index: int, job: Job) -> Request:
        asked.append((index, job))
        return made(index, job)

    jobs = (Job("a", 0.0, 3, 2), Job("b", 5.0, 2, 1))
    machine = Machine()
    simulate(trace(*jobs), machine, FCFS, requests=request)
    assert list(enumerate(jobs)) == asked
    entered = [enter for plan in machine.plans for enter in plan.enter]
    assert [[1, 2, 3], [1, 2]] == [list(enter.tokens) for enter in entered]
    assert [{"output_tokens": 2}, {"output_tokens": 1}] == [
        enter.sampling for enter in entered
    ]


@pytest.mark.parametrize("discipline", [Fcfs(), Vtc()])
def test_records_gap_and_bound_are_those_of_invented_prompts(
    discipline: Fcfs | Vtc,
) -> None:
    jobs = [Job("ab"[i % 2], i / 9, 5 + i % 40, 1 + i % 7) for i in range(60)]
    policy = Policy(discipline=discipline, max_sequences=3)

    def exact(index: int, job: Job) -> Request:
        return attrs.evolve(made(index, job), max_tokens=job.output_tokens)

    given = simulate(trace(*jobs), Machine(), policy, requests=exact)
    assert simulate(trace(*jobs), Machine(), policy) == given


def test_a_request_of_the_caller_that_can_never_fit_is_recorded() -> None:
    jobs = (Job("a", 0.0, 33, 1), Job("b", 0.0, 10, 1))
    found = simulate(trace(*jobs), Machine(blocks=2), FCFS, requests=made)
    assert [True, False] == [record.rejected for record in found.records]


@pytest.mark.parametrize(
    ("request_", "got"),
    [
        (Request(tenant="b", prompt=[1, 2], max_tokens=1), "got 'b' with 2."),
        (Request(tenant="a", prompt=[1], max_tokens=1), "got 'a' with 1."),
        ([1, 2], "got [1, 2]."),
    ],
    ids=["tenant", "length", "kind"],
)
def test_a_request_that_is_not_of_its_job_is_refused(
    request_: Request, got: str
) -> None:
    jobs = trace(Job("a", 0.0, 2, 1))
    with pytest.raises(UsageError) as caught:
        simulate(jobs, Machine(), FCFS, requests=lambda _index, _job: request_)
    assert (
        f"simulate: requests must give job 0 of the trace a Request of tenant 'a' "
        f"with 2 prompt tokens; {got}"
    ) == str(caught.value)


def test_requests_have_a_max_tokens_of_their_own() -> None:
    jobs = trace(Job("a", 0.0, 2, 1))
    with pytest.raises(UsageError, match=r"expected max_tokens=None .*, got 3\."):
        simulate(jobs, Machine(), FCFS, max_tokens=3, requests=made)
