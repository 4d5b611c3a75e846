"""Fair shares of a capacity: what a fair scheduler should give over a long run.

Weighted max-min fairness by water filling: pour service into all tenants at once, in
proportion to their weights, and let each drop out when its demand is met. Source:
D. Bertsekas and R. Gallager, "Data Networks", 2nd edition, 1992, section 6.5.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

from fairq.errors import UsageError

Amount = int | float | Fraction
"""A number of any kind; a float is taken for exactly what it is."""


def max_min(
    demands: Mapping[str, Amount],
    capacity: Amount,
    weights: Mapping[str, Amount] | None = None,
) -> dict[str, Fraction]:
    """Divide a capacity so that no tenant can get more but at the cost of a poorer one.

    ``max_min({"a": 1, "b": 9, "c": 9}, 9)`` is ``{"a": 1, "b": 4, "c": 4}``: what one
    does not want is divided among the others. Poorer is meant per unit of weight.

    Args:
        demands: What each tenant wants, >= 0, in any one unit (service, tokens, tokens
            per second); ``math.inf`` for one that takes whatever it gets.
        capacity: What there is, finite and >= 0, in the same unit.
        weights: Share of each tenant relative to the others, finite and > 0; 1 for
            those that are not named. Names without a demand are ignored.

    Returns:
        The share of each tenant, exactly, in the order of ``demands``. Together they
        are the capacity, or all that is wanted if that is less.

    Raises:
        UsageError: a number is out of its bounds, or what should be a mapping is none;
            the message names it.

    Cost: O(n log n) for n tenants, in exact fractions.
    """
    given = {} if weights is None else weights
    _check_mapping("demands", demands)
    _check_mapping("weights", given)
    wanted = {name: _demand(name, demand) for name, demand in demands.items()}
    weight = {name: _weight(name, given.get(name, 1)) for name in demands}
    return _fill(wanted, _capacity(capacity), weight)


def _check_mapping(what: str, given: object) -> None:
    if not isinstance(given, Mapping):
        msg = f"max_min: {what} must be a mapping by tenant; got {given!r}."
        raise UsageError(msg)


def _fill(
    wanted: Mapping[str, Fraction | None],
    capacity: Fraction,
    weight: Mapping[str, Fraction],
) -> dict[str, Fraction]:
    """Serve tenants in the order in which the rising water meets their demands."""
    shares = dict.fromkeys(wanted, Fraction(0))
    left, thirst = capacity, sum(weight.values(), Fraction(0))
    for name in sorted(wanted, key=lambda each: _level(wanted[each], weight[each])):
        fair = left * weight[name] / thirst
        demand = wanted[name]
        shares[name] = fair if demand is None else min(demand, fair)
        left -= shares[name]
        thirst -= weight[name]
    return shares


def _level(demand: Fraction | None, weight: Fraction) -> tuple[bool, Fraction]:
    """How high the water stands when a demand is met; never comes last."""
    return demand is None, Fraction(0) if demand is None else demand / weight


def _demand(name: str, demand: Amount) -> Fraction | None:
    if demand == math.inf:
        return None
    return _number(demand, f"The demand of {name!r}", "a number >= 0")


def _capacity(capacity: Amount) -> Fraction:
    return _number(capacity, "The capacity", "a finite number >= 0")


def _weight(name: str, weight: Amount) -> Fraction:
    expected = "a finite number > 0"
    number = _number(weight, f"The weight of {name!r}", expected)
    if not number:
        msg = f"The weight of {name!r} must be {expected}; got {weight!r}."
        raise UsageError(msg)
    return number


def _number(value: Amount, what: str, expected: str) -> Fraction:
    try:
        exact = None if isinstance(value, bool | str) else Fraction(value)
    except (TypeError, ValueError, OverflowError):  # no number, nan, infinite
        exact = None
    if exact is None or exact < 0:
        msg = f"{what} must be {expected}; got {value!r}."
        raise UsageError(msg)
    return exact
