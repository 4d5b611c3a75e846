"""What a replay says is consistent with the trace, with itself, and the next time."""

import tempfile
from fractions import Fraction
from pathlib import Path

import attrs
import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from fairq import Admission, Fcfs, LinearCost, Policy, StepPlan, StepResult, Vtc
from fairq.sim import (
    Job,
    Record,
    Run,
    Trace,
    merge_traces,
    read_log,
    simulate,
    tenant_reports,
    total,
    write_log,
)
from fairq_backends.simulated import SimulatedBackend
from property_tests.effort import part
from property_tests.programs import PATIENT

KV_TOKENS = 64


@st.composite
def make_trace(draw: st.DrawFn) -> Trace:
    count = draw(st.integers(1, 14))
    lengths = st.integers(1, 40)
    # A step takes about 10 ms: some come during one, some all at once, some late.
    gaps = st.sampled_from([0.0, 0.0, 0.004, 0.01, 0.5])
    now, jobs = 0.0, []
    for _ in range(count):
        now += draw(gaps)
        client = draw(st.sampled_from("abc"))
        jobs.append(Job(client, now, draw(lengths), draw(lengths)))
    return Trace("drawn", tuple(jobs))


traces = make_trace()
policies = st.builds(
    Policy,
    discipline=st.sampled_from([Vtc(), Vtc(slack=20.0), Fcfs()]),
    admission=st.sampled_from(Admission),
    max_failures=st.just(PATIENT),
)


@attrs.frozen
class Options:
    """Of a backend; each run gets a fresh one."""

    max_sequences: int
    tokens_per_step: int
    seed: int
    jitter: float
    fault_rate: float

    def backend(self) -> SimulatedBackend:
        options = attrs.asdict(self)
        return SimulatedBackend(kv_tokens=KV_TOKENS, strict=True, **options)


options = st.builds(
    Options,
    max_sequences=st.integers(1, 6),
    tokens_per_step=st.sampled_from([6, 16, 256]),
    seed=st.integers(0, 9),
    jitter=st.sampled_from([0.0, 0.3]),
    fault_rate=st.sampled_from([0.0, 0.0, 0.2]),
)
told = st.one_of(st.none(), st.none(), st.integers(1, 40))


def fits(job: Job, max_tokens: int | None) -> bool:
    outputs = job.output_tokens if max_tokens is None else max_tokens
    return job.prompt_tokens + outputs - 1 <= KV_TOKENS


def check_record(job: Job, record: Record, max_tokens: int | None) -> None:
    kept = (job.client, job.prompt_tokens, job.arrival_s)
    assert kept == (record.client, record.prompt_tokens, record.arrival_s)
    assert fits(job, max_tokens) != record.rejected
    if record.rejected:
        assert job.output_tokens == record.output_tokens
        assert record.request_latency_s == record.first_token_latency_s == -1.0
        return
    outputs = job.output_tokens
    expected = outputs if max_tokens is None else min(outputs, max_tokens)
    assert expected == record.output_tokens
    assert 0 < record.first_token_latency_s <= record.request_latency_s
    alone = record.output_tokens == 1
    assert alone == (record.first_token_latency_s == record.request_latency_s)


@part(2)
@given(trace=traces, options=options, policy=policies, max_tokens=told)
def test_records_say_of_every_job_what_can_have_become_of_it(
    trace: Trace, options: Options, policy: Policy, max_tokens: int | None
) -> None:
    run = simulate(trace, options.backend(), policy, max_tokens=max_tokens)

    for job, record in zip(trace.jobs, run.records, strict=True):
        check_record(job, record, max_tokens)
    assert (run.failed_steps > 0) <= (options.fault_rate > 0)
    assert (run.bound is None) == isinstance(policy.discipline, Fcfs)
    if run.bound is not None:
        assert run.largest_gap <= run.bound * (1 + 1e-6)


class Spy(SimulatedBackend):
    """Notes when each request got its first and its last token.

    Only for traces in which everybody is there from the start: then nothing is idle
    and the time is the sum of the steps.
    """

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.now_ns = 0
        self.first: dict[int, int] = {}
        self.last: dict[int, int] = {}

    def step(self, plan: StepPlan) -> StepResult:
        result = super().step(plan)
        self.now_ns += result.elapsed_ns
        for id_ in result.tokens:
            self.first.setdefault(id_, self.now_ns)
            self.last[id_] = self.now_ns
        return result


# Short answers make the forecast bold, and then long ones are thrown out.
bold = st.lists(
    st.builds(
        Job,
        st.sampled_from("abc"),
        st.just(0.0),
        st.integers(1, 6),
        st.sampled_from([1, 1, 2, 30]),
    ),
    min_size=6,
    max_size=24,
).map(lambda jobs: Trace("bold", tuple(jobs)))


@part(2)
@given(trace=bold, policy=policies)
def test_latencies_are_those_of_the_first_and_the_last_token(
    trace: Trace, policy: Policy
) -> None:
    backend = Spy(kv_tokens=40, block_size=4, max_sequences=5)

    run = simulate(trace, backend, policy, max_tokens=30)

    event(f"preemptions {min(run.totals.preemptions or 0, 2)}")
    for id_, record in enumerate(run.records):
        assert backend.first[id_] / 1e9 == record.first_token_latency_s
        assert backend.last[id_] / 1e9 == record.request_latency_s


@part(4)
@given(trace=traces, options=options, policy=policies)
def test_the_requests_of_a_tenant_begin_in_the_order_of_arrival(
    trace: Trace, options: Options, policy: Policy
) -> None:
    run = simulate(trace, options.backend(), policy)

    for name in "abc":
        firsts = [
            round(record.first_token_s, 9)
            for record in run.records
            if record.client == name and not record.rejected
        ]
        assert sorted(firsts) == firsts


@part(4)
@given(trace=traces, options=options, policy=policies)
def test_totals_are_sums_over_the_records(
    trace: Trace, options: Options, policy: Policy
) -> None:
    over: list[int] = []
    run = simulate(trace, options.backend(), policy, progress=over.append)

    done = [record for record in run.records if not record.rejected]
    sums = run.totals
    assert (len(trace.jobs), len(done)) == (sums.requests, sums.finished)
    assert len(trace.jobs) - len(done) == sums.rejected
    assert sum(record.prompt_tokens for record in done) == sums.prompt_tokens
    assert sum(record.output_tokens for record in done) == sums.output_tokens
    assert max((record.last_token_s for record in done), default=0.0) == sums.seconds
    assert sums.steps is not None
    assert max((r.output_tokens for r in done), default=0) <= sums.steps
    assert list(range(1, len(trace.jobs) + 1)) == over
    assert attrs.evolve(
        sums, steps=None, preemptions=None, recomputed_tokens=None
    ) == total(run.records)
    check_tenants(run)


def check_tenants(run: Run) -> None:
    cost = LinearCost()
    reports = tenant_reports(run.records, cost)
    done = [record for record in run.records if not record.rejected]
    service = sum(cost.service(r.prompt_tokens, r.output_tokens) for r in done)
    assert service == sum(report.service for report in reports.values())
    assert len(done) == sum(report.finished for report in reports.values())


@part(4)
@given(trace=traces, options=options, policy=policies, max_tokens=told)
def test_the_same_replay_gives_the_same_run(
    trace: Trace, options: Options, policy: Policy, max_tokens: int | None
) -> None:
    one = simulate(trace, options.backend(), policy, max_tokens=max_tokens)
    two = simulate(trace, options.backend(), policy, max_tokens=max_tokens)

    assert one == two


@part(4)
@given(trace=traces, options=options, admission=st.sampled_from(Admission))
def test_for_one_tenant_alone_every_discipline_is_first_come_first_served(
    trace: Trace, options: Options, admission: Admission
) -> None:
    jobs = tuple(attrs.evolve(job, client="a") for job in trace.jobs)
    options = attrs.evolve(options, fault_rate=0.0)
    runs = [
        simulate(
            Trace("alone", jobs),
            options.backend(),
            Policy(discipline=discipline, admission=admission),
        )
        for discipline in (Vtc(), Fcfs())
    ]

    assert runs[0].records == runs[1].records
    assert runs[0].largest_gap == 0.0


# --- traces -------------------------------------------------------------------------


@given(trace=traces, speed=st.floats(1e-3, 1e3))
def test_a_scaled_trace_arrives_that_much_faster(trace: Trace, speed: float) -> None:
    scaled = trace.scaled(speed)

    assert trace.name == scaled.name
    for before, after in zip(trace.jobs, scaled.jobs, strict=True):
        assert attrs.evolve(before, arrival_s=after.arrival_s) == after
        assert before.arrival_s == pytest.approx(after.arrival_s * speed)
    times = [job.arrival_s for job in scaled.jobs]
    assert sorted(times) == times
    assert trace == trace.scaled(1)


@given(several=st.lists(traces, min_size=1, max_size=4))
def test_merging_keeps_every_job_its_order_and_its_file(several: list[Trace]) -> None:
    several = [Trace(f"t{index}", each.jobs) for index, each in enumerate(several)]

    merged = merge_traces(several)

    times = [job.arrival_s for job in merged.jobs]
    assert sorted(times) == times
    assert sum(len(trace.jobs) for trace in several) == len(merged.jobs)
    if len(several) == 1:
        assert several[0] is merged
        return
    for trace in several:
        mine = [j for j in merged.jobs if j.client.startswith(f"{trace.name}/")]
        expected = [
            attrs.evolve(job, client=f"{trace.name}/{job.client}") for job in trace.jobs
        ]
        assert expected == mine
    first = [trace.jobs[0].arrival_s for trace in several]
    assert several[first.index(min(first))].name == merged.jobs[0].client.split("/")[0]


# --- logs ---------------------------------------------------------------------------

names = st.text(min_size=1, max_size=8)
latencies = st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)).map(sorted)
records = st.builds(
    lambda name, prompt, output, arrival, pair: Record(
        name, prompt, output, arrival, pair[0], pair[1]
    ),
    names,
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.floats(0, 1e9),
    latencies | st.just([-1.0, -1.0]),
)


@given(log=st.lists(records, min_size=1, max_size=6), packed=st.booleans())
def test_a_log_that_is_written_is_read_back_to_the_last_digit(
    log: list[Record], *, packed: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("log.csv.gz" if packed else "log.csv")
        write_log(path, log)
        assert tuple(log) == read_log(path)


@part(4)
@given(trace=traces, options=options, policy=policies)
def test_the_log_of_a_run_gives_the_same_totals(
    trace: Trace, options: Options, policy: Policy
) -> None:
    run = simulate(trace, options.backend(), policy)
    assume(run.records)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.csv"
        write_log(path, run.records)
        read = read_log(path)

    assert run.records == read
    assert total(run.records) == total(read)
    slowest = max(Fraction(record.last_token_s) for record in read)
    assert float(slowest) >= total(read).seconds
