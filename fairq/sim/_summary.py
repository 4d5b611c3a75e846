"""Mean and percentiles of latencies."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

import attrs

from fairq.errors import UsageError


@attrs.frozen
class Summary:
    """What is told about many values; in their unit."""

    mean: float
    p50: float
    p99: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Summary | None":
        """Summarise; None when there is no value. Costs O(n * log(n))."""
        ordered = sorted(values)
        if not ordered:
            return None
        return cls(fmean(ordered), _at(ordered, 50), _at(ordered, 99))


def percentile(values: Iterable[float], q: float) -> float:
    """The q-th percentile, 0 <= q <= 100, interpolated linearly between neighbours.

    The same as numpy's default. Costs O(n * log(n)).

    Raises:
        UsageError: there is no value, or q is not in 0..100.
    """
    ordered = sorted(values)
    if not ordered or not 0 <= q <= 100:  # noqa: PLR2004  # per cent
        msg = (
            f"percentile: expected values and 0 <= q <= 100; got {len(ordered)}, {q!r}."
        )
        raise UsageError(msg)
    return _at(ordered, q)


def _at(ordered: Sequence[float], q: float) -> float:
    place = (len(ordered) - 1) * q / 100
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))
