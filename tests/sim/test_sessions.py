"""Agent sessions: chains of calls that grow on."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from fairq.errors import TraceError, UsageError
from fairq.sim import Job, Span, Trace, read_trace

CALL: dict[str, object] = {
    "t": 0.0,
    "in": 640,
    "out": 16,
    "keep": 0,
    "new": [[1, 10]],
    "think": 0.0,
    "api": 2.0,
    "tool": 0,
    "stop": "tool",
}


def call(**values: object) -> dict[str, object]:
    return CALL | values


def session(
    *calls: Mapping[str, object], name: str = "s1", **values: object
) -> dict[str, object]:
    whole = {"id": name, "model": "m", "block_size": 64, "requests": calls}
    return whole | values


def write(folder: Path, *sessions: Mapping[str, object]) -> Path:
    path = folder / "agents.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in sessions))
    return path


GROWING = (
    call(),
    call(t=5.0, think=3.0, keep=9, new=[[11, 2], [20, 1]], **{"in": 800}),
    call(t=9.0, think=None, api=None, keep=11, new=[[30, 2]], **{"in": 840}),
    call(t=11.5, think=None, keep=0, new=[[40, 1]], **{"in": 70}),
)


def test_a_session_is_a_chain_of_calls_of_one_tenant(tmp_path: Path) -> None:
    jobs = read_trace(write(tmp_path, session(*GROWING))).jobs
    assert ["s1"] * 4 == [job.client for job in jobs]
    assert [None, 0, 1, 2] == [job.after for job in jobs]
    # After 5 + 2 until 9, and after 9 + nothing until 11.5.
    assert [0.0, 3.0, 2.0, 2.5] == [job.delay_s for job in jobs]
    assert [0.0, 3.0, 5.0, 7.5] == [job.arrival_s for job in jobs]
    assert [640, 800, 840, 70] == [job.prompt_tokens for job in jobs]


def test_a_call_keeps_the_first_blocks_of_the_one_before(tmp_path: Path) -> None:
    jobs = read_trace(write(tmp_path, session(*GROWING))).jobs
    assert [
        (Span(1, 10, 64),),
        (Span(1, 9, 64), Span(11, 2, 64), Span(20, 1, 64)),
        (Span(1, 9, 64), Span(11, 2, 64), Span(30, 2, 64)),
        (Span(40, 1, 64),),
    ] == [job.content for job in jobs]


def test_lengths_can_be_divided(tmp_path: Path) -> None:
    calls = (call(out=3), call(keep=10, new=[[11, 1]], **{"in": 719}))
    first, second = read_trace(write(tmp_path, session(*calls)), divide_lengths=8).jobs
    assert Job("s1", 0.0, 80, 1, (Span(1, 10, 8),)) == first
    assert (89, 2) == (second.prompt_tokens, second.output_tokens)
    assert (Span(1, 10, 8), Span(11, 1, 8)) == second.content


def test_blocks_that_the_prompt_does_not_fill_are_left_out(tmp_path: Path) -> None:
    (job,) = read_trace(write(tmp_path, session(call(**{"in": 639})))).jobs
    assert (Span(1, 9, 64),) == job.content


def test_sessions_share_nothing_and_begin_evenly_in_a_window(tmp_path: Path) -> None:
    sessions = [session(call(), name=name) for name in "abc"]
    path = write(tmp_path, *sessions)
    jobs = read_trace(path).jobs
    assert [("a", 0.0), ("b", 20.0), ("c", 40.0)] == [
        (job.client, job.arrival_s) for job in jobs
    ]
    assert [(Span(first, 10, 64),) for first in (1, 12, 23)] == [
        job.content for job in jobs
    ]
    times = [job.arrival_s for job in read_trace(path, window_s=6).jobs]
    assert [0.0, 2.0, 4.0] == times


def test_long_pauses_can_be_cut(tmp_path: Path) -> None:
    calls = (call(), call(think=9000.0, new=[]), call(think=1.0, new=[]))
    jobs = read_trace(write(tmp_path, session(*calls)), longest_pause_s=30).jobs
    assert [0.0, 30.0, 1.0] == [job.delay_s for job in jobs]


def test_calls_of_different_sessions_stand_in_the_order_of_their_pauses(
    tmp_path: Path,
) -> None:
    calls = (call(), call(think=50.0, new=[]))
    jobs = read_trace(
        write(tmp_path, session(*calls, name="a"), session(*calls, name="b"))
    ).jobs
    assert ["a", "b", "a", "b"] == [job.client for job in jobs]
    assert [None, None, 0, 1] == [job.after for job in jobs]


def test_a_sub_agent_is_a_chain_beside_the_main_one(tmp_path: Path) -> None:
    sub = {
        "id": "agent",
        "type": "Explore",
        "dur_s": 10.0,
        "requests": [call(new=[[50, 10]]), call(think=1.0, keep=10, new=[])],
    }
    calls = (call(), {"t": 15.0, "sub": sub}, call(t=16.0, think=14.0, keep=10, new=[]))
    jobs = read_trace(write(tmp_path, session(*calls))).jobs
    # It ran from 5 to 15, and the call above it was over at 2.
    assert [(None, 0.0), (0, 3.0), (1, 1.0), (0, 14.0)] == [
        (job.after, job.delay_s) for job in jobs
    ]
    assert (Span(50, 10, 64),) == jobs[2].content
    assert (Span(1, 10, 64),) == jobs[3].content


def test_a_sub_agent_may_come_first(tmp_path: Path) -> None:
    sub = {"dur_s": 1.0, "requests": [call()]}
    calls = ({"t": 4.0, "sub": sub}, call())
    jobs = read_trace(write(tmp_path, session(*calls))).jobs
    assert [(None, 0.0), (None, 3.0)] == [(job.after, job.arrival_s) for job in jobs]


@pytest.mark.parametrize(
    ("second", "column", "expected"),
    [
        (session(), None, None),
        (session(name=""), "id", "a name that is not empty; got ''"),
        (session(block_size=0), "block_size", "tokens >= 1; got 0"),
        (session(user=1), "user", "expected only the keys id, block_size, requests"),
        (session(requests=3), "requests", "a list of objects; got 3"),
        (session(requests=[3]), "requests[0]", "expected an object; got '3'"),
        (session(call(), call(think=-1)), "requests[1].think", "seconds >= 0; got -1"),
        (session(call(api="x")), "requests[0].api", "seconds >= 0; got 'x'"),
        (session(call(out=1.5)), "requests[0].out", "tokens >= 0; got 1.5"),
        (session(call(keep=1)), "requests[0].keep", "at most the 0 blocks of the call"),
        (session(call(new=[[1]])), "requests[0].new", "a list of [first id >= 0, numb"),
        (session(call(new=[[1, 0]])), "requests[0].new", "a list of [first id >= 0"),
        (session(call(new=[[2**30, 1]])), "requests[0].new", "ids below 2**30 in all"),
        (session(call(extra=1)), "requests[0].extra", "expected only the keys t, in"),
        (session({"t": 1.0, "sub": 3}), "requests[0].sub", "expected an object; got"),
        (
            session({"t": 1.0, "sub": {"dur_s": 1, "requests": [{}]}}),
            "requests[0].sub.requests[0].t",
            "expected this key",
        ),
    ],
    ids=range(16),
)  # fmt: skip
def test_a_malformed_session_is_named_by_line_and_key(
    tmp_path: Path, second: dict[str, object], column: str | None, expected: str | None
) -> None:
    path = write(tmp_path, session(call()), second)
    if expected is None:  # a session without calls is none
        assert len(read_trace(path).jobs) == 1
        return
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert (caught.value.line, caught.value.column) == (2, column)
    assert expected in str(caught.value)


def test_the_block_size_must_be_divided_evenly(tmp_path: Path) -> None:
    path = write(tmp_path, session(call()))
    with pytest.raises(TraceError, match="expected a multiple of 5; got 64"):
        read_trace(path, divide_lengths=5)


@pytest.mark.parametrize(
    "options",
    [
        {"divide_lengths": 0},
        {"divide_lengths": 1.5},
        {"window_s": -1},
        {"window_s": float("inf")},
        {"longest_pause_s": float("nan")},
    ],
    ids=str,
)
def test_an_option_out_of_bounds_is_named(
    tmp_path: Path, options: dict[str, int]
) -> None:
    (name,) = options
    with pytest.raises(UsageError, match=f"read_trace: {name} must be"):
        read_trace(write(tmp_path, session(call())), **options)


def published(traces: Path) -> Trace:
    (path,) = (traces / "claude_code").glob("*.jsonl.gz")
    return read_trace(path, divide_lengths=8)


def test_the_published_sessions_are_read_whole(traces: Path) -> None:
    jobs = published(traces).jobs
    # 23,062 calls of 338 sessions, and 297 of their sub-agents.
    assert len(jobs) == 23062 + 297
    assert len({job.client for job in jobs}) == 338
    assert sum(job.after is None for job in jobs) == 338


def test_nearly_all_of_a_call_is_in_the_one_before(traces: Path) -> None:
    def blocks(job: Job) -> list[int]:
        content = job.content or ()
        return [each for span in content for each in range(span.first, span.end)]

    jobs = published(traces).jobs
    kept = whole = 0
    for job in jobs[:2000]:
        if job.after is not None:
            before, mine = blocks(jobs[job.after]), blocks(job)
            pairs = zip(before, mine, strict=False)
            kept += next((n for n, (a, b) in enumerate(pairs) if a != b), len(mine))
            whole += len(mine)
    assert 0.9 < kept / whole < 1
