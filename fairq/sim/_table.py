"""CSV with a header, read strictly: nothing is guessed and nothing is skipped."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

import attrs

from fairq._closest import closest
from fairq.errors import TraceError

# int() and float() take "1_000", " 7" and "٣" too; in a log those are mistakes.
INTEGER: Final = re.compile(r"-?[0-9]{1,15}")
NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?")


@attrs.frozen
class Row:
    """One line of a file, by column, and where it stands."""

    file: str
    line: int
    cells: dict[str, str]

    def fail(self, column: str, expected: str) -> NoReturn:
        """Raise the error for one cell.

        Raises:
            TraceError: always.
        """
        msg = f"expected {expected}; got {self.cells[column]!r}."
        raise TraceError(msg, file=self.file, line=self.line, column=column)

    def text(self, column: str) -> str:
        """A cell that is not empty."""
        return self.cells[column] or self.fail(column, "a name that is not empty")

    def whole(self, column: str, least: int = 0) -> int:
        """A cell that is a number of tokens, at least ``least``."""
        cell = self.cells[column]
        if INTEGER.fullmatch(cell) is None:
            self.fail(column, "a whole number of tokens, such as 128")
        tokens = int(cell)
        if tokens < least:
            self.fail(column, f"at least {least} token{'' if least == 1 else 's'}")
        return tokens

    def tokens(self, column: str) -> int:
        """A cell that is a number of tokens, at least 1."""
        return self.whole(column, 1)

    def number(self, column: str) -> float:
        """A cell that is a finite number."""
        cell = self.cells[column]
        value = float(cell) if NUMBER.fullmatch(cell) else math.nan
        if not math.isfinite(value):
            self.fail(column, "a finite number of seconds, such as 12.5")
        return value

    def seconds(self, column: str) -> float:
        """A cell that is a time, at least 0."""
        value = self.number(column)
        if value < 0:
            self.fail(column, "a time >= 0 seconds")
        return value


@attrs.define
class Ordered:
    """Checks that arrival times do not run backwards."""

    latest: float = 0.0

    def check(self, row: Row, column: str, arrival_s: float) -> float:
        """The time itself, if it is not before the row above."""
        if arrival_s < self.latest:
            row.fail(column, f"at least the {self.latest!r} s of the row above")
        self.latest = arrival_s
        return arrival_s


def read_rows(
    text: str, file: str, columns: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows below a header that has these columns, in any order.

    Raises:
        TraceError: a column is missing, double or unknown, a row has another number
            of cells, or the quoting is broken.
    """
    lines = _lines(text, file)
    header = next(lines)[1]
    _check_header(header, file, columns, optional)
    for line, cells in lines:
        if len(cells) != len(header):
            msg = f"expected {len(header)} cells; got {len(cells)}."
            raise TraceError(msg, file=file, line=line)
        yield Row(file, line, dict(zip(header, cells, strict=True)))


def _lines(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as error:
        msg = f"expected a line of CSV; got a broken one ({error})."
        raise TraceError(msg, file=file, line=reader.line_num) from None


def _check_header(
    header: Sequence[str], file: str, columns: Sequence[str], optional: Sequence[str]
) -> None:
    known = [*columns, *optional]
    for position, name in enumerate(header):
        if name in header[:position]:
            msg = "expected every column once; got it twice."
            raise TraceError(msg, file=file, line=1, column=name)
        if name not in known:
            msg = f"expected only the columns {', '.join(known)}{_hint(name, known)}."
            raise TraceError(msg, file=file, line=1, column=name)
    for name in columns:
        if name not in header:
            msg = f"expected a column of this name; got {', '.join(header)}."
            raise TraceError(msg, file=file, line=1, column=name)


def _hint(name: str, known: Sequence[str]) -> str:
    match = closest(name, known)
    return "" if match is None else f" (did you mean {match!r}?)"
