"""Closed loops: a job arrives some time after another one is over."""

import pytest

from fairq.disciplines import Fcfs
from fairq.errors import UsageError
from fairq.policy import Policy
from fairq.sim import Job, Record, Trace, merge_traces, simulate
from fairq.sim._arrivals import NS, Arrivals
from tests.sim.machine import Machine

FCFS = Policy(discipline=Fcfs())


def follower(after: int, delay_s: float, *, nominal: float = 0.0) -> Job:
    return Job("a", nominal, 10, 1, None, after, delay_s)


def arrivals(*jobs: Job, machine: Machine | None = None) -> list[float]:
    run = simulate(Trace("t", jobs), machine or Machine(), FCFS)
    return [record.arrival_s for record in run.records]


def test_a_job_arrives_a_delay_after_the_end_of_the_one_before() -> None:
    first = Job("a", 1.0, 10, 3)
    run = simulate(
        Trace("t", (first, follower(0, 2.5), follower(1, 0.0))), Machine(), FCFS
    )
    assert (
        Record("a", 10, 3, 1.0, 1.0, 3.0),
        Record("a", 10, 1, 6.5, 1.0, 1.0),
        Record("a", 10, 1, 7.5, 1.0, 1.0),
    ) == run.records
    assert run.totals.makespan_s == 7.5
    assert run.totals.seconds == 8.5


def test_several_may_follow_one() -> None:
    jobs = (Job("a", 0.0, 10, 1), follower(0, 5.0), follower(0, 1.0), follower(2, 1.0))
    assert [0.0, 6.0, 2.0, 4.0] == arrivals(*jobs)


def test_a_rejected_job_is_over_when_it_arrives() -> None:
    huge = Job("a", 3.0, 10**6, 1)
    also = Job("a", 0.0, 10**6, 1, None, 0, 1.0)
    assert [3.0, 4.0, 6.0] == arrivals(huge, also, follower(1, 2.0))


def test_what_the_kernel_refuses_is_over_when_it_arrives() -> None:
    policy = Policy(max_waiting=1)
    jobs = (Job("a", 0.0, 10, 1), Job("a", 0.0, 10, 1), follower(1, 7.25))
    run = simulate(Trace("t", jobs), Machine(), policy)
    assert [False, True, False] == [record.rejected for record in run.records]
    assert run.records[2].arrival_s == 7.25


def test_a_job_that_is_given_up_is_over_too() -> None:
    machine = Machine(faults=range(1, 5))
    jobs = (Job("a", 0.0, 10, 3), follower(0, 1.0))
    run = simulate(Trace("t", jobs), machine, FCFS)
    assert [True, False] == [record.rejected for record in run.records]
    assert run.records[1].arrival_s == 2.0


def test_the_rejected_of_a_loop_are_recorded_when_they_came() -> None:
    jobs = (Job("a", 0.0, 10, 2), Job("a", 0.0, 10**6, 1, None, 0, 4.0))
    run = simulate(Trace("t", jobs), Machine(), FCFS)
    assert Record("a", 10**6, 1, 6.0, -1.0, -1.0) == run.records[1]


def test_of_equal_times_the_first_in_the_trace_goes_first() -> None:
    jobs = (
        Job("a", 0.0, 1, 1),
        follower(0, 1.0),
        Job("b", 2.0, 1, 1),
        follower(0, 1.0),
    )
    queue = Arrivals(jobs)
    assert [0] == [live.index for live in queue.until(0)]
    assert queue.next_ns == 2 * NS
    queue.ended(0, NS)
    assert [1, 2, 3] == [live.index for live in queue.until(2 * NS)]
    assert queue.next_ns is None


def test_speed_divides_delays_too() -> None:
    trace = Trace("t", (Job("a", 1.0, 1, 1), follower(0, 3.0, nominal=4.0)))
    scaled = Trace("t", (Job("a", 0.5, 1, 1), follower(0, 1.5, nominal=2.0)))
    assert scaled == trace.scaled(2)


@pytest.mark.parametrize("after", [1, 2, 7])
def test_a_job_cannot_come_after_one_that_is_not_before_it(after: int) -> None:
    jobs = (Job("a", 0.0, 1, 1), follower(after, 0.0), Job("a", 0.0, 1, 1))
    with pytest.raises(
        UsageError, match=f"job 1 must .* earlier one; got after={after}"
    ):
        Trace("t", jobs)


@pytest.mark.parametrize(("after", "delay_s"), [(-1, 0.0), (0, -1.0), (True, 0.0)])
def test_a_loop_out_of_bounds_is_refused(after: int, delay_s: float) -> None:
    with pytest.raises(UsageError, match=r"Job\.(after|delay_s) must be"):
        follower(after, delay_s)


def test_loops_stay_closed_when_traces_are_merged() -> None:
    loop = Trace("loop", (Job("x", 0.0, 1, 1), follower(0, 1.0, nominal=5.0)))
    plain = Trace("plain", tuple(Job("y", float(time), 1, 1) for time in range(8)))
    merged = merge_traces([plain, loop])
    (place,) = [n for n, job in enumerate(merged.jobs) if job.after is not None]
    assert place == 7
    assert merged.jobs[place].after == 1
    assert merged.jobs[1].client == "loop/x"
    assert merged.closed
    assert not plain.closed
