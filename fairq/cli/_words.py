"""Sentences about a trace and its tenants."""

from collections.abc import Sequence
from typing import Final

from fairq.sim import Job, Record

THREE_DIGITS: Final = 100

NAMED: Final = 5
"""How many heavy tenants are named; a line has no room for more."""


def grouped(items: Sequence[Job | Record], heavy: Sequence[str]) -> str:
    """``1,500 requests of 27 tenants, 3 heavy (2, 10, 0) and 24 light``."""
    tenants = len({item.client for item in items})
    names = ", ".join(heavy[:NAMED]) + (", ..." if len(heavy) > NAMED else "")
    return (
        f"{count(len(items), 'request')} of {count(tenants, 'tenant')}, "
        f"{len(heavy)} heavy ({names}) and {tenants - len(heavy)} light"
    )


def count(number: int, noun: str) -> str:
    """``1 request``, ``1,500 requests``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def seconds(time_s: float) -> str:
    """``2.41 s``, ``1,012 s``: three digits, or all that stand before the point."""
    return f"{time_s:,.0f} s" if time_s >= THREE_DIGITS else f"{time_s:.3g} s"
