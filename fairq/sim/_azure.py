"""The traces of Azure LLM inference: ``TIMESTAMP,ContextTokens,GeneratedTokens``.

Source: https://github.com/Azure/AzurePublicDataset, CC-BY-4.0. There are no tenants
inside, so a whole file is one tenant, named like the file. A request without prompt or
output tokens is refused like any other malformed row: neither published file has one.
"""

import re
from typing import Final

from fairq.sim._table import Ordered, Row, read_rows
from fairq.sim._values import Job

TIMESTAMP: Final = "TIMESTAMP"
COLUMNS: Final = (TIMESTAMP, "ContextTokens", "GeneratedTokens")
PATTERN: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]{1,9}))?"
)
DAYS_BEFORE: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
LIMITS: Final = (24, 60, 60)


def parse_azure(text: str, file: str, tenant: str) -> tuple[Job, ...]:
    """The jobs of one Azure file; times count from its first row. Costs O(rows).

    Raises:
        TraceError: see ``read_trace``.
    """
    arrivals = Ordered()
    jobs: list[Job] = []
    start = None
    for row in read_rows(text, file, COLUMNS):
        now = _nanoseconds(row)
        start = now if start is None else start
        arrival = arrivals.check(row, TIMESTAMP, (now - start) / 1e9)
        prompt, output = row.tokens("ContextTokens"), row.tokens("GeneratedTokens")
        jobs.append(Job(tenant, arrival, prompt, output))
    return tuple(jobs)


def _nanoseconds(row: Row) -> int:
    """A timestamp as nanoseconds since the year 0; by hand, the core has no clock."""
    match = PATTERN.fullmatch(row.cells[TIMESTAMP])
    if match is None:
        row.fail(TIMESTAMP, "a time such as 2023-11-16 18:17:03.9799600")
    year, month, day, *clock = (int(part) for part in match.groups()[:6])
    days = _days(year, month, day)
    in_bounds = all(part < limit for part, limit in zip(clock, LIMITS, strict=True))
    if days is None or not in_bounds:
        row.fail(TIMESTAMP, "a date and a time that exist")
    hour, minute, second = clock
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    fraction = (match[7] or "0").ljust(9, "0")
    return seconds * 10**9 + int(fraction)


def _days(year: int, month: int, day: int) -> int | None:
    """Days from the year 0 to a date of the Gregorian calendar; None if it has none."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= month < len(DAYS_BEFORE):
        return None
    length = DAYS_BEFORE[month] - DAYS_BEFORE[month - 1] + (leap and month == 2)  # noqa: PLR2004  # February
    if not 1 <= day <= length:
        return None
    past = year - 1
    leaps = past // 4 - past // 100 + past // 400 + (leap and month > 2)  # noqa: PLR2004  # after February
    return year * 365 + leaps + DAYS_BEFORE[month - 1] + day


def is_azure(header: str) -> bool:
    """Whether a first line is the header of an Azure file."""
    return TIMESTAMP in header.split(",")
