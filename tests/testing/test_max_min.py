"""Fair shares: the numbers of the textbook, and what is refused."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest

from fairq import UsageError
from fairq.testing import max_min


def test_what_one_does_not_want_is_divided_among_the_others() -> None:
    assert {"a": 1, "b": 4, "c": 4} == max_min({"a": 1, "b": 9, "c": 9}, 9)


def test_a_demand_that_is_met_on_the_way_is_met_exactly() -> None:
    """2, 2.6, 4 and 5 of 10: 2 and 2.6 are met, 5.4 is left for two."""
    shares = max_min({"a": 2, "b": Fraction("2.6"), "c": 4, "d": 5}, 10)

    assert [2, Fraction("2.6"), Fraction("2.7"), Fraction("2.7")] == [*shares.values()]


def test_a_weight_of_three_is_three_times_the_share() -> None:
    assert {"a": 2, "b": 6} == max_min({"a": 9, "b": 9}, 8, {"b": 3})


def test_a_small_demand_with_a_large_weight_is_met_first() -> None:
    shares = max_min({"a": 9, "b": 2, "c": 9}, 8, {"b": 100})

    assert {"a": 3, "b": 2, "c": 3} == shares


def test_more_than_everybody_wants_is_left_over() -> None:
    assert {"a": 1, "b": 2} == max_min({"a": 1, "b": 2}, 100)


def test_who_takes_whatever_it_gets_gets_the_rest() -> None:
    assert {"a": 7, "b": 3} == max_min({"a": math.inf, "b": 3}, 10)


def test_nothing_is_lost_to_rounding() -> None:
    shares = max_min(dict.fromkeys("abc", math.inf), 0.1)

    assert Fraction(0.1) == sum(shares.values())
    assert Fraction(0.1) / 3 == shares["a"]


def test_shares_come_in_the_order_of_the_demands() -> None:
    assert ["b", "a", "c"] == list(max_min({"b": 5, "a": 1, "c": 3}, 6))


def test_no_tenant_gets_no_share() -> None:
    assert {} == max_min({}, 5)


def test_weights_of_tenants_without_a_demand_are_ignored() -> None:
    assert {"a": 4} == max_min({"a": 4}, 4, {"b": 100})


CALLS: dict[str, Callable[[], object]] = {
    "The demand of 'a' must be a number >= 0; got -1.": lambda: max_min({"a": -1}, 1),
    "The demand of 'a' must be a number >= 0; got nan.": (
        lambda: max_min({"a": math.nan}, 1)
    ),
    "The demand of 'a' must be a number >= 0; got '3'.": (
        lambda: max_min({"a": "3"}, 1)  # type: ignore[dict-item]  # the wrong type is the test
    ),
    "The demand of 'a' must be a number >= 0; got True.": (
        lambda: max_min({"a": True}, 1)
    ),
    "The capacity must be a finite number >= 0; got -1.": lambda: max_min({}, -1),
    "The capacity must be a finite number >= 0; got inf.": (
        lambda: max_min({"a": 1}, math.inf)
    ),
    "The weight of 'a' must be a finite number > 0; got 0.": (
        lambda: max_min({"a": 1}, 1, {"a": 0})
    ),
    "The weight of 'a' must be a finite number > 0; got inf.": (
        lambda: max_min({"a": 1}, 1, {"a": math.inf})
    ),
    "max_min: demands must be a mapping by tenant; got [1].": (
        lambda: max_min([1], 1)  # type: ignore[arg-type]  # as above
    ),
    "max_min: weights must be a mapping by tenant; got [].": (
        lambda: max_min({"a": 1}, 1, [])  # type: ignore[arg-type]  # as above
    ),
}


@pytest.mark.parametrize("message", CALLS)
def test_a_wrong_number_says_what_a_right_one_is(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        CALLS[message]()
    assert message == str(caught.value)
