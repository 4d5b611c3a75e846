"""The Azure format."""

from pathlib import Path

import pytest

from fairq.errors import TraceError
from fairq.sim import Job, read_trace
from fairq.sim._azure import _days

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"


def write(folder: Path, *rows: str) -> Path:
    path = folder / "chat.part1.csv"
    path.write_bytes((HEADER + "\r\n".join(rows)).encode())
    return path


def test_a_file_is_one_tenant_and_times_count_from_its_first_row(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        "2023-11-16 23:59:59.9799600,4808,10",
        "2023-11-17 00:00:00.9800610,3180,8",
        "2023-11-17 00:00:01,1,1",
    )
    expected = (
        Job("chat", 0.0, 4808, 10),
        Job("chat", 1.000101, 3180, 8),
        Job("chat", 1.02004, 1, 1),
    )
    assert expected == read_trace(path).jobs


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("2023-11-16T18:17:03,1,1", "TIMESTAMP", "a time such as 2023-11-16 18:17:03"),
        ("2023-02-29 00:00:00,1,1", "TIMESTAMP", "a date and a time that exist"),
        ("2023-13-01 00:00:00,1,1", "TIMESTAMP", "a date and a time that exist"),
        ("2023-11-31 00:00:00,1,1", "TIMESTAMP", "a date and a time that exist"),
        ("2023-11-30 24:00:00,1,1", "TIMESTAMP", "a date and a time that exist"),
        ("2023-11-16 00:00:00,1,1", "TIMESTAMP", "at least the 0.0 s of the row above"),
        ("2023-11-18 00:00:00,0,1", "ContextTokens", "at least 1 token"),
        ("2023-11-18 00:00:00,1,0", "GeneratedTokens", "at least 1 token"),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column(
    tmp_path: Path, row: str, column: str, expected: str
) -> None:
    path = write(tmp_path, "2023-11-17 00:00:00,1,1", row)
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert (caught.value.line, caught.value.column) == (3, column)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("earlier", "later", "days"),
    [
        ((2023, 2, 28), (2023, 3, 1), 1),
        ((2024, 2, 28), (2024, 3, 1), 2),
        ((1900, 2, 28), (1900, 3, 1), 1),
        ((2000, 2, 28), (2000, 3, 1), 2),
        ((2023, 12, 31), (2024, 1, 1), 1),
        ((2024, 12, 31), (2025, 1, 1), 1),
        ((1970, 1, 1), (2023, 11, 16), 19677),
    ],
)
def test_days_follow_the_calendar(
    earlier: tuple[int, int, int], later: tuple[int, int, int], days: int
) -> None:
    first, last = _days(*earlier), _days(*later)
    assert first is not None
    assert last is not None
    assert days == last - first


def test_the_published_traces_are_read_whole(traces: Path) -> None:
    folder = traces / "azure2023"
    chat = read_trace(folder / "AzureLLMInferenceTrace_conv.csv.gz")
    code = read_trace(folder / "AzureLLMInferenceTrace_code.csv.gz")
    assert (19366, 8819) == (len(chat.jobs), len(code.jobs))
    assert Job("AzureLLMInferenceTrace_conv", 0.0, 374, 44) == chat.jobs[0]
    assert pytest.approx(3501.721937) == chat.jobs[-1].arrival_s
