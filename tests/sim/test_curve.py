"""Service over time."""

import pytest

from fairq.cost import LinearCost
from fairq.errors import UsageError
from fairq.sim import Record, service_curve

COST = LinearCost(prompt=1.0, output=1.0)


def test_service_grows_evenly_from_first_to_last_token() -> None:
    records = [Record("a", 30, 10, 1.0, 1.0, 5.0)]
    curve = service_curve(records, COST, [0, 2, 3, 5, 6, 9])
    assert curve == {"a": pytest.approx((0, 0, 10, 30, 40, 40))}


def test_points_may_begin_and_end_inside_a_request() -> None:
    records = [Record("a", 30, 10, 0.0, 0.0, 4.0)]
    assert service_curve(records, COST, [1, 2]) == {"a": pytest.approx((10, 20))}


def test_a_single_token_is_a_jump() -> None:
    records = [Record("a", 3, 1, 0.0, 2.0, 2.0), Record("a", 7, 1, 0.0, 2.5, 2.5)]
    assert service_curve(records, COST, [1, 2, 3]) == {"a": (0.0, 4.0, 12.0)}


def test_rejected_requests_get_nothing_and_their_tenant_is_shown() -> None:
    records = [Record("a", 3, 1, 0.0, -1.0, -1.0), Record("b", 3, 1, 0.0, 1.0, 1.0)]
    assert service_curve(records, COST, [0, 9]) == {"a": (0.0, 0.0), "b": (0.0, 4.0)}


def test_without_points_curves_are_empty() -> None:
    assert service_curve([Record("a", 3, 1, 0.0, 1.0, 2.0)], COST, []) == {"a": ()}


def test_points_out_of_order_are_refused() -> None:
    with pytest.raises(UsageError, match="points must be in ascending order"):
        service_curve([], COST, [2, 1])
