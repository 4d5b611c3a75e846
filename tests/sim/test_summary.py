"""Mean and percentiles."""

import pytest

from fairq.errors import UsageError
from fairq.sim import Summary, percentile


@pytest.mark.parametrize(
    ("q", "expected"), [(0, 1.0), (25, 1.75), (50, 2.5), (99, 3.97), (100, 4.0)]
)
def test_percentiles_are_interpolated_between_neighbours(
    q: float, expected: float
) -> None:
    assert expected == pytest.approx(percentile([4.0, 1.0, 3.0, 2.0], q))


def test_the_percentiles_of_one_value_are_that_value() -> None:
    assert Summary(7.0, 7.0, 7.0) == Summary.of([7.0])


def test_nothing_has_no_summary() -> None:
    assert Summary.of([]) is None


@pytest.mark.parametrize(("values", "q"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_a_percentile_of_nothing_or_beyond_is_refused(
    values: list[float], q: float
) -> None:
    with pytest.raises(UsageError, match="expected values and 0 <= q <= 100"):
        percentile(values, q)
