"""The table that compares runs: a row for each figure, a column for each run."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import attrs
from rich import box
from rich.table import Table

from fairq.sim import Outcome, Summary, Totals

NOTHING: Final = "-"
"""For what is not known or does not exist."""


@attrs.frozen
class Column:
    """A run, or a log that was measured."""

    heading: str
    totals: Totals
    outcome: Outcome


@attrs.frozen
class _Row:
    label: str
    unit: str
    figure: Callable[[Column], str]
    ends_section: bool = False


def _count(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _decimal(value: float | None, digits: int) -> str:
    known = value is not None and math.isfinite(value)
    if not known:
        return NOTHING
    # Long whole numbers need commas; figures with decimals are copied elsewhere.
    return f"{value:.{digits}f}" if digits else f"{value:,.0f}"


def _mean(summary: Summary | None) -> str:
    return _decimal(summary.mean if summary else None, 2)


def _p99(summary: Summary | None) -> str:
    return _decimal(summary.p99 if summary else None, 2)


ROWS: Final = (
    _Row("finished", "requests", lambda c: _count(c.totals.finished)),
    _Row("rejected", "requests", lambda c: _count(c.totals.rejected)),
    _Row("preempted", "times", lambda c: _count(c.totals.preemptions)),
    _Row(
        "throughput",
        "tokens/s",
        lambda c: _decimal(c.outcome.tokens_per_s, 0),
        ends_section=True,
    ),
    _Row(
        "service difference, max",
        "service/s",
        lambda c: _decimal(c.outcome.difference.max, 2),
    ),
    _Row(
        "service difference, avg",
        "service/s",
        lambda c: _decimal(c.outcome.difference.avg, 2),
    ),
    _Row(
        "service difference, var",
        "squared",
        lambda c: _decimal(c.outcome.difference.var, 2),
    ),
    _Row(
        "largest gap of two tenants",
        "service",
        lambda c: _decimal(c.outcome.largest_gap, 0),
    ),
    _Row("  its bound", "service", lambda c: _decimal(c.outcome.bound, 0)),
    _Row(
        "Jain index", "0 to 1", lambda c: _decimal(c.outcome.jain, 3), ends_section=True
    ),
    _Row("first token, light, mean", "s", lambda c: _mean(c.outcome.light)),
    _Row("first token, light, p99", "s", lambda c: _p99(c.outcome.light)),
    _Row("first token, heavy, mean", "s", lambda c: _mean(c.outcome.heavy)),
    _Row("first token, heavy, p99", "s", lambda c: _p99(c.outcome.heavy)),
)

CACHED: Final = (
    *(attrs.evolve(row, ends_section=False) for row in ROWS[:4]),
    _Row("makespan", "s", lambda c: _decimal(c.totals.makespan_s, 2)),
    _Row(
        "prompts found in cache",
        "per cent",
        lambda c: _decimal(100 * c.totals.hit_rate, 1),
        ends_section=True,
    ),
    *ROWS[4:],
    _Row(
        "first token, coldest, p99",
        "s",
        lambda c: _decimal(c.outcome.coldest.first_token_p99_s, 2),
    ),
)
"""For runs with a prefix cache."""

WINDOWED: Final = ("service difference", "Jain index")
"""Measured in windows of a minute; without meaning for a run of half a minute."""

SHORT: Final = tuple(row for row in ROWS if not row.label.startswith(WINDOWED))
"""For short runs."""


def comparison(columns: Sequence[Column], rows: Sequence[_Row] = ROWS) -> Table:
    """The runs side by side; fits in 80 columns with two of them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("unit", style="dim", no_wrap=True)
    for column in columns:
        table.add_column(column.heading.upper(), justify="right", no_wrap=True)
    for row in rows:
        cells = [row.figure(column) for column in columns]
        table.add_row(row.label, row.unit, *cells, end_section=row.ends_section)
    return table
