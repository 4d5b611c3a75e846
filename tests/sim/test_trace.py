"""Traces as values: bundled, merged, sped up."""

import pytest

from fairq.errors import UsageError
from fairq.sim import Job, Trace, bundled_trace, merge_traces


def test_the_bundled_trace_is_the_one_of_the_paper() -> None:
    trace = bundled_trace()
    assert trace.name == "arena"
    assert len(trace.jobs) == 1500
    assert len({job.client for job in trace.jobs}) == 27
    assert Job("13", 0.0, 13, 199) == trace.jobs[0]
    assert trace.jobs[-1].arrival_s == 600.0


def test_speed_divides_arrival_times_and_nothing_else() -> None:
    trace = Trace("t", (Job("a", 1.0, 2, 3), Job("b", 5.0, 1, 1)))
    faster = Trace("t", (Job("a", 0.5, 2, 3), Job("b", 2.5, 1, 1)))
    assert faster == trace.scaled(2)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), True, "2"])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="speed must be a finite number > 0; got"):
        Trace("t", ()).scaled(speed)


def test_one_trace_is_left_as_it_is() -> None:
    trace = Trace("chat", (Job("a", 0.0, 1, 1),))
    assert trace is merge_traces([trace])


def test_tenants_of_several_traces_are_kept_apart_by_file() -> None:
    chat = Trace("chat", (Job("a", 0.0, 1, 1), Job("a", 2.0, 2, 2)))
    code = Trace("code", (Job("a", 0.0, 3, 3), Job("code", 1.0, 4, 4)))
    merged = merge_traces([chat, code])
    expected = (
        Job("chat/a", 0.0, 1, 1),
        Job("code/a", 0.0, 3, 3),
        Job("code", 1.0, 4, 4),
        Job("chat/a", 2.0, 2, 2),
    )
    assert expected == merged.jobs
    assert merged.name == "chat+code"


def test_two_traces_of_one_name_are_refused() -> None:
    trace = Trace("chat", (Job("a", 0.0, 1, 1),))
    with pytest.raises(UsageError, match="different names; got chat, chat"):
        merge_traces([trace, trace])


def test_no_trace_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one trace; got none"):
        merge_traces([])
