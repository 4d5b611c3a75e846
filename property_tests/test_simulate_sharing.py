"""Replays in which prompts begin alike, and jobs wait for one another."""

from itertools import takewhile

import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import Admission, Dlpm, Fcfs, Lpm, Order, Policy, PrefixCache, Vtc
from fairq.sim import Job, Run, Span, Trace, plan_trace, simulate
from fairq_backends.simulated import SimulatedBackend
from property_tests.effort import part
from property_tests.programs import PATIENT

BLOCK = 4
KV_TOKENS = 96


@st.composite
def make_trace(draw: st.DrawFn, *, loops: bool = True) -> Trace:
    """Prompts of a few pieces out of few, some with a tail of their own."""
    jobs: list[Job] = []
    now = 0.0
    for place in range(draw(st.integers(1, 14))):
        now += draw(st.sampled_from([0.0, 0.0, 0.01, 0.5]))
        pieces = st.builds(
            Span, st.integers(0, 2), st.integers(1, 3), st.sampled_from([2, 4, 5])
        )
        content = tuple(draw(st.lists(pieces, max_size=3)))
        own = draw(st.integers(0 if content else 1, 6))
        jobs.append(
            Job(
                draw(st.sampled_from("abc")),
                now,
                sum(span.length for span in content) + own,
                draw(st.integers(1, 30)),
                draw(st.sampled_from([content, content, None])),
                draw(st.none() | st.integers(0, place - 1))
                if loops and place
                else None,
                draw(st.sampled_from([0.0, 0.003, 1.0])),
            )
        )
    return Trace("drawn", tuple(jobs))


policies = st.builds(
    Policy,
    discipline=st.sampled_from([Vtc(), Vtc(slack=20.0), Fcfs(), Lpm(), Dlpm(15.0)]),
    admission=st.sampled_from(Admission),
    order=st.sampled_from(Order),
    prefix_cache=st.builds(
        PrefixCache, everybody=st.booleans(), max_wait=st.sampled_from([0, 2, 8])
    ),
    weights=st.just({}),
    max_failures=st.just(PATIENT),
)


@attrs.frozen
class Machine:
    """Options of a backend; each run gets a fresh one."""

    max_sequences: int
    tokens_per_step: int
    fault_rate: float

    def backend(self) -> SimulatedBackend:
        return SimulatedBackend(
            kv_tokens=KV_TOKENS, block_size=BLOCK, strict=True, **attrs.asdict(self)
        )


machines = st.builds(
    Machine,
    max_sequences=st.integers(1, 6),
    tokens_per_step=st.sampled_from([6, 16, 256]),
    fault_rate=st.sampled_from([0.0, 0.0, 0.3]),
)


def text(place: int, job: Job) -> list[object]:
    """A prompt, position by position, as the trace describes it."""
    content = job.content or ()
    said = [
        span.first + piece
        for span in content
        for piece in range(span.count)
        for _ in range(span.tokens)
    ]
    own = job.prompt_tokens - len(said)
    return [*said, *(("own", place, number) for number in range(own))]


def common(one: list[object], other: list[object]) -> int:
    pairs = zip(one, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def most_found(trace: Trace, policy: Policy) -> list[int]:
    """For each job, what it has in common with any other that it may share with."""
    assert policy.prefix_cache is not None
    texts = [text(place, job) for place, job in enumerate(trace.jobs)]
    found = []
    for place, job in enumerate(trace.jobs):
        others = [
            common(texts[place], texts[other])
            for other, its in enumerate(trace.jobs)
            if other != place
            and (policy.prefix_cache.everybody or its.client == job.client)
        ]
        most = min(max(others, default=0), job.prompt_tokens - 1)
        found.append(most // BLOCK * BLOCK)
    return found


@part(2)
@given(trace=make_trace(), machine=machines, policy=policies)
def test_what_is_found_is_in_another_prompt(
    trace: Trace, machine: Machine, policy: Policy
) -> None:
    run = simulate(trace, machine.backend(), policy)

    most = most_found(trace, policy)
    cached = [record.cached_tokens for record in run.records]
    event(f"found {min(sum(cached), 40) // 20 * 20}")
    assert all(got <= bound for got, bound in zip(cached, most, strict=True))
    assert all(got % BLOCK == 0 for got in cached)
    if run.bound is not None:
        assert run.largest_gap <= run.bound * (1 + 1e-6)


def lengths(run: Run) -> list[tuple[bool, int]]:
    return [(record.rejected, record.output_tokens) for record in run.records]


@part(2)
@given(trace=make_trace(), machine=machines, policy=policies)
def test_a_cache_changes_times_and_nothing_else(
    trace: Trace, machine: Machine, policy: Policy
) -> None:
    with_cache = simulate(trace, machine.backend(), policy)
    without = simulate(
        trace, machine.backend(), attrs.evolve(policy, prefix_cache=None)
    )

    assert lengths(with_cache) == lengths(without)
    assert without.totals.cached_tokens == 0
    assert with_cache == simulate(trace, machine.backend(), policy)


@part(2)
@given(trace=make_trace(), machine=machines, policy=policies)
def test_who_follows_arrives_a_delay_after_the_end(
    trace: Trace, machine: Machine, policy: Policy
) -> None:
    run = simulate(trace, machine.backend(), policy)

    for job, record in zip(trace.jobs, run.records, strict=True):
        if job.after is None:
            assert job.arrival_s == record.arrival_s
            continue
        before = run.records[job.after]
        if not before.rejected:
            expected = before.last_token_s + job.delay_s
        elif trace.jobs[job.after].prompt_tokens > KV_TOKENS:
            expected = before.arrival_s + job.delay_s
        else:
            continue  # refused as it came or given up later; the record does not say
        assert expected == pytest.approx(record.arrival_s, abs=1e-6)


@part(2)
@given(trace=make_trace(loops=False), machine=machines, policy=policies)
def test_a_planned_trace_serves_the_same_jobs(
    trace: Trace, machine: Machine, policy: Policy
) -> None:
    planned = plan_trace(trace, block_size=BLOCK, pool_tokens=KV_TOKENS)

    run = simulate(planned.trace, machine.backend(), policy)

    restored = planned.restored(run.records)
    asked = [(job.client, job.prompt_tokens) for job in trace.jobs]
    assert asked == [(record.client, record.prompt_tokens) for record in restored]
