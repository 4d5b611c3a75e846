"""Logs: one row per request."""

import gzip
from pathlib import Path

import pytest

from fairq.errors import TraceError
from fairq.sim import Record, read_log, write_log

OLD = (
    "client,prompt_tokens,output_tokens,arrival_s,"
    "first_token_latency_s,request_latency_s\n"
)
HEADER = OLD.replace("\n", ",cached_tokens\n")
RECORDS = (
    Record("ann", 10, 20, 0.1, 0.1 + 0.2, 1 / 3, 9),
    Record('b,"o"b', 1, 1, 1e-9, 2.0, 2.0),
    Record("ann", 5, 6, 3.0, -1.0, -1.0),
)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_what_is_written_is_read_back_to_the_last_bit(
    tmp_path: Path, name: str
) -> None:
    write_log(tmp_path / name, RECORDS)
    assert read_log(tmp_path / name) == RECORDS


def test_a_written_log_is_plain_csv(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", RECORDS[2:])
    text = (tmp_path / "log.csv").read_text()
    assert HEADER + "ann,5,6,3.0,-1.0,-1.0,0\n" == text


def test_a_log_without_cached_tokens_is_read_as_before(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(OLD + "ann,5,6,3.0,-1.0,-1.0\n")
    assert (Record("ann", 5, 6, 3.0, -1.0, -1.0, 0),) == read_log(path)


def test_a_gzipped_log_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_log(tmp_path / name, RECORDS)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.gz", "b.gz"))
    assert first == second
    assert gzip.decompress(first).startswith(b"client,")


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("a,1,1,0,-2,-2", "first_token_latency_s", "seconds >= 0, or -1 for rejected"),
        ("a,1,1,0,-1,3", "request_latency_s", "-1, as the first token never came"),
        ("a,1,1,0,3,2", "request_latency_s", "at least the 3.0 s of the first token"),
        ("a,1,1,0,3,-1", "request_latency_s", "at least the 3.0 s of the first token"),
        ("a,1,1,0,x,3", "first_token_latency_s", "a finite number of seconds"),
        ("a,1,0,0,1,3", "output_tokens", "at least 1 token; got '0'"),
        ("a,1,1,0,1,3,-1", "cached_tokens", "at least 0 tokens; got '-1'"),
        ("a,1,1,0,1,3,0.5", "cached_tokens", "a whole number of tokens"),
        ("a,16,1,0,1,3,16", "cached_tokens", "fewer tokens than the prompt has"),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column(
    tmp_path: Path, row: str, column: str, expected: str
) -> None:
    path = tmp_path / "log.csv"
    path.write_text((HEADER if row.count(",") > 5 else OLD) + row + "\n")
    with pytest.raises(TraceError) as caught:
        read_log(path)
    assert (caught.value.line, caught.value.column) == (2, column)
    assert expected in str(caught.value)


def test_a_log_without_requests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER)
    with pytest.raises(TraceError, match="expected at least one request"):
        read_log(tmp_path / "log.csv")
