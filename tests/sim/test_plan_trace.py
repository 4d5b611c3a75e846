"""A trace as a job that is planned as a whole."""

import pytest

from fairq.errors import UsageError
from fairq.sim import Job, Record, Span, Trace, plan_trace, prefix_groups


def test_members_of_a_group_follow_one_another() -> None:
    trace = prefix_groups(6, 4, prefix=64, own=8, output=3)
    planned = plan_trace(trace, block_size=16, pool_tokens=1000)
    contents = [job.content for job in planned.trace.jobs]
    changes = sum(one != two for one, two in zip(contents, contents[1:], strict=False))  # noqa: RUF007  # pairs
    assert changes == 5
    assert sorted(planned.order) == list(range(24))
    assert [trace.jobs[place] for place in planned.order] == list(planned.trace.jobs)
    assert planned.saved_tokens == 6 * 3 * 64


def test_the_saving_of_the_micro_benchmark_is_that_of_the_paper() -> None:
    trace = prefix_groups(400, 16)
    planned = plan_trace(trace, block_size=16, pool_tokens=400_000)
    saved = planned.saved_tokens / sum(job.prompt_tokens for job in trace.jobs)
    assert round(100 * saved, 1) == 85.2


def test_everything_is_there_at_once_and_what_never_fits_is_last() -> None:
    jobs = (
        Job("a", 1.0, 2000, 1, (Span(1, 1, 2000),)),
        Job("a", 2.0, 40, 1, (Span(2, 1, 32),)),
        Job("b", 3.0, 40, 9, (Span(3, 1, 32),)),
        Job("c", 4.0, 40, 9, (Span(3, 1, 32),)),
    )
    planned = plan_trace(Trace("t", jobs), block_size=16, pool_tokens=100)
    assert [0.0] * 4 == [job.arrival_s for job in planned.trace.jobs]
    assert (2, 3, 1, 0) == planned.order


def test_records_go_back_to_where_their_jobs_stood() -> None:
    trace = prefix_groups(3, 2, prefix=32, own=8, output=3)
    planned = plan_trace(trace, block_size=16, pool_tokens=1000)
    records = [Record("a", 1 + place, 1, 0.0, 1.0, 1.0) for place in planned.order]
    lengths = [record.prompt_tokens for record in planned.restored(records)]
    assert list(range(1, 7)) == lengths


def test_a_closed_loop_cannot_be_planned() -> None:
    jobs = (Job("a", 0.0, 1, 1), Job("a", 0.0, 1, 1, None, 0, 1.0))
    with pytest.raises(UsageError, match="known as a whole; 'loop' is a closed loop"):
        plan_trace(Trace("loop", jobs), block_size=16, pool_tokens=100)
