"""The plain format, and what every format has in common."""

import gzip
from pathlib import Path

import pytest

from fairq.errors import TraceError, UsageError
from fairq.sim import Job, read_trace

HEADER = "arrival_s,client,prompt_tokens,output_tokens\n"


def write(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def refusal(path: Path) -> TraceError:
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert caught.value.file == str(path)
    assert str(caught.value).startswith(str(path))
    return caught.value


def test_a_plain_trace_is_read_as_written(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "0,ann,10,20\n1.5,bob,1,1\n1.5,ann,3,4\n")
    trace = read_trace(path)
    jobs = (Job("ann", 0.0, 10, 20), Job("bob", 1.5, 1, 1), Job("ann", 1.5, 3, 4))
    assert trace.name == "trace"
    assert jobs == trace.jobs


def test_columns_may_come_in_any_order(tmp_path: Path) -> None:
    text = "output_tokens,req_id,client,arrival_s,prompt_tokens\r\n4,99,ann,1e1,3\r\n"
    assert (Job("ann", 10.0, 3, 4),) == read_trace(write(tmp_path, text)).jobs


def test_a_client_may_have_commas_in_its_name(tmp_path: Path) -> None:
    trace = read_trace(write(tmp_path, HEADER + '0,"ann, bob",1,1\n'))
    assert trace.jobs[0].client == "ann, bob"


def test_gzip_is_recognised_by_its_bytes_and_not_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(gzip.compress((HEADER + "0,ann,1,2\n").encode()))
    plain = write(tmp_path, HEADER + "0,ann,1,2\n", "trace.csv.gz")
    assert read_trace(plain).jobs == read_trace(path).jobs
    assert read_trace(plain).name == "trace"


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("-1,ann,1,1", "arrival_s", "expected a time >= 0 seconds; got '-1'"),
        ("nan,ann,1,1", "arrival_s", "expected a finite number of seconds"),
        ("inf,ann,1,1", "arrival_s", "expected a finite number of seconds"),
        ("1e999,ann,1,1", "arrival_s", "expected a finite number of seconds"),
        ("1_0,ann,1,1", "arrival_s", "expected a finite number of seconds"),
        (" 10,ann,1,1", "arrival_s", "expected a finite number of seconds"),
        (",ann,1,1", "arrival_s", "expected a finite number of seconds"),
        ("4.9,ann,1,1", "arrival_s", "expected at least the 5.0 s of the row above"),
        ("6,,1,1", "client", "expected a name that is not empty"),
        ("6,ann,0,1", "prompt_tokens", "expected at least 1 token; got '0'"),
        ("6,ann,-3,1", "prompt_tokens", "expected at least 1 token; got '-3'"),
        ("6,ann,1.5,1", "prompt_tokens", "expected a whole number of tokens"),
        ("6,ann,1,0", "output_tokens", "expected at least 1 token; got '0'"),
        ("6,ann,1,many", "output_tokens", "expected a whole number of tokens"),
        ("6,ann,1,99999999999999999999", "output_tokens", "expected a whole number"),
        ("6,ann,1", None, "expected 4 cells; got 3"),
        ("6,ann,1,1,1", None, "expected 4 cells; got 5"),
        ("", None, "expected 4 cells; got 0"),
        ('6,"ann"x,1,1', None, "expected a line of CSV"),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column(
    tmp_path: Path, row: str, column: str | None, expected: str
) -> None:
    path = write(tmp_path, HEADER + "5,ann,1,1\n" + row + "\n7,ann,1,1\n")
    error = refusal(path)
    assert (error.line, error.column) == (3, column)
    assert expected in str(error)
    assert "line 3" in str(error)


@pytest.mark.parametrize(
    ("header", "column", "expected"),
    [
        ("arrival_s,client,prompt_tokens", "output_tokens", "a column of this name"),
        ("arrival_s,client,client,prompt_tokens", "client", "every column once"),
        (
            "arrival_s,client,prompt_tokens,output_token",
            "output_token",
            "did you mean 'output_tokens'?",
        ),
        ("client,priority", "priority", "expected only the columns arrival_s, client"),
    ],
)
def test_a_wrong_header_names_the_column(
    tmp_path: Path, header: str, column: str, expected: str
) -> None:
    error = refusal(write(tmp_path, header + "\n"))
    assert (error.line, error.column) == (1, column)
    assert expected in str(error)


@pytest.mark.parametrize(
    ("data", "line", "expected"),
    [
        (b"", 0, "the file is empty"),
        (gzip.compress(b""), 0, "the file is empty"),
        (HEADER.encode(), 0, "expected at least one request"),
        (b"\xef\xbb\xbf" + HEADER.encode(), 1, "without a byte order mark"),
        (
            HEADER.encode() + b"0,\xff,1,1\n",
            2,
            "expected UTF-8 text; got the byte 0xff",
        ),
        (gzip.compress(HEADER.encode())[:-9], 0, "expected a whole gzip file"),
        (b"\x1f\x8bnot really", 0, "expected a whole gzip file"),
    ],
)
def test_a_file_that_is_no_text_says_what_is_wrong_with_it(
    tmp_path: Path, data: bytes, line: int, expected: str
) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(data)
    error = refusal(path)
    assert line == error.line
    assert expected in str(error)


def test_a_file_that_is_not_there_is_a_trace_error(tmp_path: Path) -> None:
    assert "No such file" in str(refusal(tmp_path / "nothing.csv"))
    assert "directory" in str(refusal(tmp_path))


def test_a_log_is_not_taken_for_a_trace(tmp_path: Path) -> None:
    text = "client,arrival_s,first_token_latency_s\n"
    assert "got the log of a run" in str(refusal(write(tmp_path, text)))


@pytest.mark.parametrize("tenants", [0, -1, True, 2.5])
def test_the_number_of_tenants_must_be_positive(tmp_path: Path, tenants: int) -> None:
    with pytest.raises(UsageError, match="tenants must be an integer >= 1; got"):
        read_trace(tmp_path, tenants=tenants)
