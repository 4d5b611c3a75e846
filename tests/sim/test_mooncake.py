"""The Mooncake format."""

import json
import zlib
from collections import Counter
from pathlib import Path

import pytest

from fairq.errors import TraceError
from fairq.sim import Span, read_trace


def line(timestamp: object, hash_ids: object = (0, 1), **others: object) -> str:
    values = {"timestamp": timestamp, "input_length": 600, "output_length": 5}
    return json.dumps(values | {"hash_ids": hash_ids} | others)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "chat.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_batch_is_spread_over_its_three_seconds(tmp_path: Path) -> None:
    path = write(
        tmp_path, line(0), line(0), line(0), line(3000), line(9000), line(9000)
    )
    arrivals = [job.arrival_s for job in read_trace(path).jobs]
    assert [0.0, 1.0, 2.0, 3.0, 9.0, 10.5] == arrivals


def test_a_batch_is_spread_no_further_than_the_next_one(tmp_path: Path) -> None:
    path = write(tmp_path, line(0), line(0), line(100), line(100), line(101))
    arrivals = [job.arrival_s for job in read_trace(path).jobs]
    assert [0.0, 0.05, 0.1, 0.1005, 0.101] == arrivals


def test_the_tenant_is_a_stable_hash_of_the_second_block(tmp_path: Path) -> None:
    path = write(tmp_path, line(0, [0, 46, 47]), line(1, [9, 46]), line(2, [46]))
    clients = {job.client for job in read_trace(path).jobs}
    assert {f"tenant-{zlib.crc32(b'46') % 16:02d}"} == clients
    clients = {job.client for job in read_trace(path, tenants=3).jobs}
    assert {f"tenant-{zlib.crc32(b'46') % 3}"} == clients


def test_blocks_of_512_tokens_say_what_prompts_have_in_common(tmp_path: Path) -> None:
    lines = [
        line(0, [3, 4, 9], input_length=1300),
        line(1, [3, 4], input_length=1024),
        line(2, [7], input_length=1300),
        line(3, [7, 8, 9, 10], input_length=100),
    ]
    contents = [job.content for job in read_trace(write(tmp_path, *lines)).jobs]
    assert [
        (Span(3, 2, 512), Span(9, 1, 276)),
        (Span(3, 2, 512),),
        (Span(7, 1, 512),),
        (Span(7, 1, 100),),
    ] == contents


@pytest.mark.parametrize(
    ("second", "column", "expected"),
    [
        (line(4), "timestamp", "at least the 5.0 ms of the line above; got 4"),
        (line(-1), "timestamp", "milliseconds >= 0; got -1"),
        (line(float("nan")), "timestamp", "milliseconds >= 0; got nan"),
        (line("7"), "timestamp", "milliseconds >= 0; got '7'"),
        (line(7, input_length=0), "input_length", "tokens >= 1; got 0"),
        (line(7, output_length=1.5), "output_length", "tokens >= 1; got 1.5"),
        (line(7, output_length=True), "output_length", "tokens >= 1; got True"),
        (line(7, []), "hash_ids", "at least one block id; got []"),
        (line(7, ["a"]), "hash_ids", "at least one block id; got ['a']"),
        (line(7, 3), "hash_ids", "at least one block id; got 3"),
        (line(7, [4, -1]), "hash_ids", "block ids in 0..2**30-1; got [4, -1]"),
        (line(7, [2**30]), "hash_ids", "block ids in 0..2**30-1; got"),
        (line(7, user=1), "user", "expected only the keys timestamp"),
        ('{"timestamp": 7}', "input_length", "expected this key; got only timestamp"),
        ('{"timestamp": ', None, "expected a JSON object; got"),
        ("[7]", None, "expected a JSON object; got '[7]'"),
        ("[" * 100_000, None, "expected a JSON object; got"),
        ("", None, "expected a JSON object; got ''"),
    ],
    ids=range(18),
)
def test_a_malformed_line_is_named_by_line_and_key(
    tmp_path: Path, second: str, column: str | None, expected: str
) -> None:
    path = write(tmp_path, line(5), second, line(9))
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert (caught.value.line, caught.value.column) == (2, column)
    assert expected in str(caught.value)


def test_the_published_trace_is_read_whole_and_in_order(traces: Path) -> None:
    jobs = read_trace(traces / "mooncake" / "conversation_trace.jsonl.gz").jobs
    arrivals = [job.arrival_s for job in jobs]
    assert len(jobs) == 12031
    assert sorted(arrivals) == arrivals
    assert len(set(arrivals)) == len(arrivals)
    counts = Counter(job.client for job in jobs)
    assert len(counts) == 16
    assert min(counts.values()) > 600
    assert all(job.content for job in jobs)
