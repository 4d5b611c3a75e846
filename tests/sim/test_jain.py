"""Jain's index against max-min fair shares."""

import pytest

from fairq.cost import LinearCost
from fairq.sim import Record, jain_index, max_min_shares

COST = LinearCost(prompt=1.0, output=1.0)


def busy(client: str, service: int, *, asked_at: float = 0.0) -> Record:
    """Served evenly over all windows."""
    return Record(client, service - 1, 1, asked_at, 28.5 - asked_at, 601.5 - asked_at)


@pytest.mark.parametrize(
    ("demands", "total", "weights", "shares"),
    [
        ({"a": 10, "b": 10}, 10, {}, {"a": 5, "b": 5}),
        ({"a": 2, "b": 10, "c": 10}, 12, {}, {"a": 2, "b": 5, "c": 5}),
        ({"a": 10, "b": 10}, 8, {"b": 3}, {"a": 2, "b": 6}),
        ({"a": 10, "b": 3}, 8, {"b": 3}, {"a": 5, "b": 3}),
        ({"a": 1, "b": 2}, 3, {}, {"a": 1, "b": 2}),
        ({}, 0, {}, {}),
    ],
)
def test_shares_are_by_weight_and_never_above_demand(
    demands: dict[str, float],
    total: float,
    weights: dict[str, float],
    shares: dict[str, float],
) -> None:
    assert shares == max_min_shares(demands, total, weights)


def test_equal_service_of_equal_tenants_is_perfect() -> None:
    assert jain_index([busy("a", 900), busy("b", 900)], COST, {}) == pytest.approx(1)


def test_one_of_two_that_takes_all_gives_one_half() -> None:
    starved = Record("b", 899, 1, 0.0, 2000.0, 2001.0)
    index = jain_index([busy("a", 900), starved], COST, {})
    assert index == pytest.approx(0.5)


def test_a_tenant_that_asks_for_little_and_gets_it_is_served_fairly() -> None:
    # In the only window that sees them, a gets 900 and b the 2 it asked for.
    records = [Record("a", 899, 1, 0.0, 29.0, 50.0), Record("b", 1, 1, 0.0, 29.0, 30.0)]
    assert jain_index(records, COST, {}) == pytest.approx(1)


def test_service_by_weight_is_perfect_under_these_weights_only() -> None:
    records = [busy("a", 9000), Record("b", 2999, 1, 0.0, 28.5, 601.5)]
    records += [Record(name, 10**6, 1, 0.0, 2000.0, 2001.0) for name in ("a", "b")]
    assert jain_index(records, COST, {"a": 3.0}) == pytest.approx(1)
    assert jain_index(records, COST, {}) == pytest.approx(0.8)


def test_without_any_service_there_is_no_index() -> None:
    assert jain_index([], COST, {}) is None
    assert jain_index([Record("a", 1, 1, 30.0, -1.0, -1.0)], COST, {}) is None


def test_a_rejected_request_starves_nobody() -> None:
    records = [busy("a", 900), busy("b", 900)]
    rejected = Record("c", 10**6, 1, 30.0, -1.0, -1.0)
    assert jain_index([*records, rejected], COST, {}) == pytest.approx(1)
