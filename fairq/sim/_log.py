"""Logs: what became of every request, a row each, so that anybody can measure."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import attrs

from fairq.errors import TraceError
from fairq.sim._table import Row, read_rows
from fairq.sim._text import read_text, write_text
from fairq.sim._values import Record

COLUMNS = tuple(field.name for field in attrs.fields(Record))
OPTIONAL = ("cached_tokens",)
"""A log of a machine without a prefix cache may lack this."""
REQUIRED = tuple(name for name in COLUMNS if name not in OPTIONAL)


def read_log(path: str | Path) -> tuple[Record, ...]:
    """Read a log, gzipped or not; rows may be in any order. Costs O(rows).

    Raises:
        TraceError: the file or one of its rows is malformed: the message names file,
            line, column, what was expected and what came.
    """
    file = str(path)
    records = tuple(map(_record, read_rows(read_text(path), file, REQUIRED, OPTIONAL)))
    if not records:
        msg = "expected at least one request below the header; got none."
        raise TraceError(msg, file=file)
    return records


def write_log(path: str | Path, records: Iterable[Record]) -> None:
    """Write a log, gzipped when the name ends in ``.gz``.

    Numbers are written so that ``read_log`` gives back the very same records.
    """
    rows = [COLUMNS, *map(attrs.astuple, records)]
    write_text(path, "".join(map(_line, rows)))


def _line(cells: Iterable[object]) -> str:
    text = io.StringIO(newline="")
    # csv quotes a cell that has a character of the line end in it: with this one it
    # looks for both, and a bare carriage return survives.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _record(row: Row) -> Record:
    first, last = _latencies(row)
    return Record(
        row.text("client"),
        row.tokens("prompt_tokens"),
        row.tokens("output_tokens"),
        row.seconds("arrival_s"),
        first,
        last,
        _cached(row),
    )


def _cached(row: Row) -> int:
    """Cached tokens, less than the prompt has: the last one is always computed."""
    if "cached_tokens" not in row.cells:
        return 0
    cached = row.whole("cached_tokens")
    if cached >= row.tokens("prompt_tokens"):
        row.fail("cached_tokens", "fewer tokens than the prompt has")
    return cached


def _latencies(row: Row) -> tuple[float, float]:
    """Both latencies: -1 and -1 for a rejected request, else 0 <= first <= last."""
    first = row.number("first_token_latency_s")
    last = row.number("request_latency_s")
    if first < 0 and first != -1:
        row.fail("first_token_latency_s", "seconds >= 0, or -1 for rejected")
    if first == -1 and last != -1:
        row.fail("request_latency_s", "-1, as the first token never came")
    if last < first:
        row.fail("request_latency_s", f"at least the {first!r} s of the first token")
    return first, last
