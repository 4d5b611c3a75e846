"""A file with one wrong cell is refused with that cell's place, or it was not wrong."""

import csv
import io
import json
import math
import re
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from fairq import TraceError
from fairq.sim import read_log, read_trace
from property_tests.effort import times

Cells = list[str]
Valid = Callable[[str], bool]


def whole(cell: str) -> bool:
    """A number of tokens, at least 1."""
    return bool(re.fullmatch("[0-9]{1,15}", cell)) and int(cell) >= 1


def number(cell: str) -> float:
    """A finite number, or NaN."""
    shape = re.fullmatch(r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?", cell)
    return float(cell) if shape and math.isfinite(float(cell)) else math.nan


def seconds(cell: str) -> bool:
    """A finite time, at least 0; the order is another matter."""
    return number(cell) >= 0


def timestamp(cell: str) -> bool:
    """A date and a time that exist; the year 0 does, and years repeat after 400."""
    shape = re.fullmatch(
        r"([0-9]{4})(-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?",
        cell,
    )
    if not shape:
        return False
    year = 2000 + int(shape[1]) % 400
    try:
        datetime.fromisoformat(f"{year}{shape[2]}")
    except ValueError:
        return False
    return True


def moment(cell: str) -> tuple[str, str]:
    """Timestamps sort by it."""
    clock, _, fraction = cell.partition(".")
    return clock, fraction.ljust(9, "0")


@attrs.frozen
class Format:
    """A kind of CSV file, with one good row after another."""

    columns: dict[str, Valid]
    row: Callable[[int], Cells]
    """The n-th row below the header."""
    read: Callable[[Path], object]
    ordered: str | None = None
    """The column that must not fall."""
    order: Callable[[str], Any] = float
    """What its cells are compared by."""


def plain(index: int) -> Cells:
    return [f"{index}.5", f"tenant-{index % 2}", "7", "9"]


def log_row(index: int) -> Cells:
    return ["a", "7", "9", f"{index}.25", "1.5", "2.5"]


def azure(index: int) -> Cells:
    return [f"2023-11-16 18:17:0{index}.9799600", "7", "9"]


FORMATS = {
    "plain": Format(
        {
            "arrival_s": seconds,
            "client": bool,
            "prompt_tokens": whole,
            "output_tokens": whole,
        },
        plain,
        read_trace,
        "arrival_s",
    ),
    "azure": Format(
        {"TIMESTAMP": timestamp, "ContextTokens": whole, "GeneratedTokens": whole},
        azure,
        read_trace,
        "TIMESTAMP",
        moment,
    ),
    "log": Format(
        {
            "client": bool,
            "prompt_tokens": whole,
            "output_tokens": whole,
            "arrival_s": seconds,
        },
        log_row,
        read_log,
    ),
}
LOG_TAIL = ["first_token_latency_s", "request_latency_s"]

# What people put into cells, and what fuzzers do.
odd_numbers = st.sampled_from(
    ["", "-1", "0", "1e3", "1_0", " 7", "7 ", "nan", "inf", "-0.5", "1e999", "٣", "-0"]
)
odd_words = st.sampled_from(
    ["NA", "0x10", "1.", ".5", "+3", "7.0", "'7'", "1,5", "9" * 16, "a\tb", "\u2028"]
)
odd_times = st.sampled_from(
    [
        "2024-02-29 12:00:00",
        "2023-02-29 12:00:00",
        "2100-02-29 12:00:00",
        "0000-02-29 00:00:00",
        "2023-11-16 18:17:60",
        "2023-11-16 24:00:00",
        "2023-11-16T18:17:03",
        "2023-11-16 18:17:03.1234567890",
        "2023-11-16 18:17:02.97996",
        "2023-13-01 00:00:00",
        "2023-00-10 00:00:00",
        "2023-11-31 00:00:00",
    ]
)
cells = st.one_of(
    odd_numbers,
    odd_words,
    odd_times,
    st.integers().map(str),
    st.floats().map(repr),
    st.datetimes().map(str),
    st.text(),
)


def read_bytes(read: Callable[[Path], object], text: str, name: str) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(text.encode())
        return read(path)


def as_csv(rows: list[Cells]) -> tuple[str, list[int]]:
    """The text, every cell quoted, and the line on which each row ends."""
    text, lines = "", []
    for row in rows:
        quoted = (cell.replace('"', '""') for cell in row)
        text += ",".join(f'"{cell}"' for cell in quoted) + "\n"
        reader = csv.reader(io.StringIO(text, newline=""))
        list(reader)
        lines.append(reader.line_num)
    return text.replace('"', "", 2 * len(rows[0])), lines


@example("plain", 2, 0, 2, "1_0")
@example("plain", 2, 0, 3, " 7")
@example("log", 2, 1, 1, "٣")
@example("azure", 3, 1, 0, "2023-11-16 18:17:02.97996")
@times(4)
@given(
    kind=st.sampled_from(sorted(FORMATS)),
    count=st.integers(1, 5),
    where=st.integers(0, 4),
    column=st.integers(0, 3),
    cell=cells,
)
def test_one_wrong_cell_of_a_csv_is_found_where_it_is(
    kind: str, count: int, where: int, column: int, cell: str
) -> None:
    chosen = FORMATS[kind]
    name, valid = list(chosen.columns.items())[column % len(chosen.columns)]
    header = [*chosen.columns, *(LOG_TAIL if kind == "log" else [])]
    rows = [chosen.row(number) for number in range(count)]
    row, column = where % count, column % len(chosen.columns)
    before, rows[row][column] = rows[row][column], cell
    text, lines = as_csv([header, *rows])
    event(f"{kind} {name} {valid(cell)}")

    if not valid(cell):
        error = refusal(chosen.read, text)
        assert (lines[row + 1], name) == (error.line, error.column)
    elif name != chosen.ordered or in_order(chosen.order, rows, column):
        read_bytes(chosen.read, text, "file.csv")
    else:
        # Blamed on the row that is before the one above it.
        error = refusal(chosen.read, text)
        too_late = chosen.order(cell) > chosen.order(before)
        assert lines[row + 1 + too_late] == error.line
        assert name == error.column


def in_order(order: Callable[[str], Any], rows: list[Cells], column: int) -> bool:
    times = [order(row[column]) for row in rows]
    return sorted(times) == times


def refusal(read: Callable[[Path], object], text: str) -> TraceError:
    with pytest.raises(TraceError) as caught:
        read_bytes(read, text, "file.csv")
    assert caught.value.file.endswith("file.csv")
    return caught.value


@given(first=cells, last=cells)
def test_latencies_of_a_log_are_refused_or_make_sense(first: str, last: str) -> None:
    header = [*FORMATS["log"].columns, *LOG_TAIL]
    row = [*log_row(0)[:4], first, last]
    text, lines = as_csv([header, row])

    one, two = number(first), number(last)
    rejected = (one, two) == (-1, -1)
    if rejected or 0 <= one <= two:
        read_bytes(read_log, text, "file.csv")
        return
    error = refusal(read_log, text)
    assert lines[1] == error.line
    if math.isnan(one):
        blamed = LOG_TAIL[0]
    elif math.isnan(two):
        blamed = LOG_TAIL[1]
    else:
        blamed = LOG_TAIL[0] if one < 0 and one != -1 else LOG_TAIL[1]
    assert blamed == error.column


# --- a line of JSON -----------------------------------------------------------------

numbers = st.integers(-(10**18), 10**18)
values: st.SearchStrategy[object] = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.floats(),
    st.text(max_size=4),
    st.lists(st.one_of(numbers, st.none(), st.booleans(), st.floats()), max_size=3),
    st.dictionaries(st.text(max_size=3), numbers, max_size=2),
)


def integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def tokens(value: object) -> bool:
    return isinstance(value, int) and integer(value) and value >= 1


def block_ids(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(integer, value))


def milliseconds(value: object) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return real and isinstance(value, int | float) and 0 <= value < math.inf


KEYS: dict[str, Callable[[object], bool]] = {
    "timestamp": milliseconds,
    "input_length": tokens,
    "output_length": tokens,
    "hash_ids": block_ids,
}


@given(
    count=st.integers(1, 4),
    where=st.integers(0, 3),
    key=st.sampled_from(sorted(KEYS)),
    value=values,
)
def test_one_wrong_value_of_a_json_line_is_found_where_it_is(
    count: int, where: int, key: str, value: object
) -> None:
    rows: list[dict[str, object]] = [
        {"timestamp": 3000, "input_length": 9, "output_length": 2, "hash_ids": [1, 2]}
        for _ in range(count)
    ]
    row = where % count
    rows[row][key] = value
    text = "".join(json.dumps(each) + "\n" for each in rows)

    if not KEYS[key](value):
        error = refusal(read_trace, text)
        assert (row + 1, key) == (error.line, error.column)
        return
    moved = isinstance(value, int | float) and key == "timestamp" and value != 3000
    late = moved and isinstance(value, int | float) and value > 3000
    last, first = row == count - 1, row == 0
    if moved and not (last if late else first):
        error = refusal(read_trace, text)
        assert (row + 2 if late else row + 1, key) == (error.line, error.column)
    else:
        read_bytes(read_trace, text, "file.csv")


# --- anything at all ----------------------------------------------------------------

HEADERS = [
    "arrival_s,client,prompt_tokens,output_tokens\n",
    "TIMESTAMP,ContextTokens,GeneratedTokens\n",
    ",".join([*FORMATS["log"].columns, *LOG_TAIL]) + "\n",
    '{"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]}\n',
    "",
    "\ufeffarrival_s\n",
]


@given(
    read=st.sampled_from([read_trace, read_log]),
    header=st.sampled_from(HEADERS),
    body=st.text("0123456789.,-:\n\r\"' {}[]ae") | st.text(),
)
def test_nothing_but_a_trace_error_comes_out_of_a_file(
    read: Callable[[Path], object], header: str, body: str
) -> None:
    lines = len(re.findall("\r\n|\r|\n", header + body)) + 1
    error: TraceError | None = None
    try:
        read_bytes(read, header + body, "file.csv")
    except TraceError as caught:
        error = caught
    event(f"{header[:4]!r} {'read' if error is None else 'refused'}")
    if error is not None:
        assert error.file.endswith("file.csv")
        assert 0 <= error.line <= lines


@given(
    read=st.sampled_from([read_trace, read_log]),
    data=st.binary(max_size=60) | st.binary(max_size=60).map(b"\x1f\x8b".__add__),
)
def test_nothing_but_a_trace_error_comes_out_of_bytes(
    read: Callable[[Path], object], data: bytes
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bytes"
        path.write_bytes(data)
        with pytest.raises(TraceError, match="bytes"):
            read(path)
