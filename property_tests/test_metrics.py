"""Measures of runs, against implementations straight from their definitions.

Times lie on a grid and sums are made of fractions, so that edges of windows are met
exactly and nothing is rounded on this side.
"""

import statistics
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairq import LinearCost, UsageError
from fairq.sim import (
    Record,
    heavy_tenants,
    jain_index,
    max_min_shares,
    percentile,
    service_curve,
    service_difference,
)
from property_tests.effort import part

TICKS = [Fraction(57, 2) * number for number in range(1, 20)]
WIDTH = Fraction(60)
WEIGHTS = {"a": 1.0, "b": 4.0, "c": 0.5}

# Quarters of seconds, and often the edges of windows.
quarters = st.integers(0, 2600).map(lambda n: n / 4)
edges = st.sampled_from([28.5, 57.0, 88.5, 541.5, 601.5, 117.0, 600.0])
moments = quarters | edges


@st.composite
def make_records(draw: st.DrawFn) -> Record:
    arrival, first, last = sorted(draw(st.tuples(moments, moments, moments)))
    if draw(st.integers(0, 6)) == 0:
        first = last
    rejected = draw(st.integers(0, 6)) == 0
    return Record(
        draw(st.sampled_from("abcd")),
        draw(st.integers(1, 300)),
        draw(st.integers(1, 300)),
        arrival,
        -1.0 if rejected else first - arrival,
        -1.0 if rejected else last - arrival,
    )


logs = st.lists(make_records(), min_size=1, max_size=12)
costs = st.builds(
    LinearCost,
    prompt=st.sampled_from([0.0, 1.0, 2.0]),
    output=st.sampled_from([0.5, 2.0]),
)


# --- the definitions ----------------------------------------------------------------


def worth(record: Record, cost: LinearCost) -> Fraction:
    prompt = Fraction(cost.prompt) * record.prompt_tokens
    return prompt + Fraction(cost.output) * record.output_tokens


def share(record: Record, start: Fraction, end: Fraction) -> Fraction:
    """Which part of a request's service lies in a window, both ends included."""
    if record.rejected:
        return Fraction(0)
    first, last = Fraction(record.first_token_s), Fraction(record.last_token_s)
    if first == last:
        return Fraction(start <= first <= end)
    return max(min(last, end) - max(first, start), Fraction(0)) / (last - first)


def naive_difference(log: list[Record], cost: LinearCost, tick: Fraction) -> Fraction:
    end = tick + WIDTH
    tenants = sorted({record.client for record in log})
    service = dict.fromkeys(tenants, Fraction(0))
    demand = dict.fromkeys(tenants, Fraction(0))
    for record in log:
        amount = worth(record, cost)
        service[record.client] += amount * share(record, tick, end) / WIDTH
        if tick <= Fraction(record.arrival_s) <= end:
            demand[record.client] += amount / WIDTH
    largest = max(service.values())
    return sum(
        (
            min(largest - service[name], abs(demand[name] - service[name]))
            for name in tenants
        ),
        Fraction(0),
    )


def naive_shares(
    demands: dict[str, Fraction], total: Fraction, weights: dict[str, Fraction]
) -> dict[str, Fraction]:
    """Everybody's level rises by weight; whoever has enough stops."""
    shares = dict.fromkeys(demands, Fraction(0))
    while total > 0 and (hungry := [n for n in demands if shares[n] < demands[n]]):
        ratio = sum(weights[name] for name in hungry)
        lacks = [(demands[name] - shares[name]) / weights[name] for name in hungry]
        rise = min(*lacks, total / ratio)
        for name in hungry:
            shares[name] += rise * weights[name]
            total -= rise * weights[name]
    return shares


def naive_jain(log: list[Record], cost: LinearCost) -> float | None:
    weights = {name: Fraction(WEIGHTS.get(name, 1.0)) for name in "abcd"}
    values = []
    for tick in TICKS:
        end, far = tick + WIDTH, Fraction(10**9)
        service = dict.fromkeys("abcd", Fraction(0))
        demand = dict.fromkeys("abcd", Fraction(0))
        for record in log:
            amount = worth(record, cost)
            service[record.client] += amount * share(record, tick, end)
            if Fraction(record.arrival_s) <= end and not record.rejected:
                demand[record.client] += amount * share(record, tick, far)
        hungry = {name: each for name, each in demand.items() if each > 0}
        if sum(service.values()) > 0:
            shares = naive_shares(hungry, sum(service.values(), Fraction(0)), weights)
            got = [service[name] / shares[name] for name in hungry]
            values.append(sum(got) ** 2 / (len(got) * sum(x * x for x in got)))
    return float(sum(values) / len(values)) if values else None


# --- the measures -------------------------------------------------------------------


@part(2)
@given(log=logs, cost=costs)
def test_the_service_difference_is_that_of_its_definition(
    log: list[Record], cost: LinearCost
) -> None:
    values = [naive_difference(log, cost, tick) for tick in TICKS]
    mean = sum(values, Fraction(0)) / len(values)
    variance = sum(((v - mean) ** 2 for v in values), Fraction(0)) / len(values)

    difference = service_difference(log, cost)

    assert float(max(values)) == pytest.approx(difference.max, abs=1e-9)
    assert float(mean) == pytest.approx(difference.avg, abs=1e-9)
    assert float(variance) == pytest.approx(difference.var, rel=1e-6, abs=1e-9)


@given(logs.flatmap(lambda log: st.tuples(st.just(log), st.permutations(log))))
def test_the_order_of_a_log_does_not_matter(
    both: tuple[list[Record], list[Record]],
) -> None:
    log, shuffled = both
    cost = LinearCost()

    one, two = service_difference(log, cost), service_difference(shuffled, cost)

    assert one.max == pytest.approx(two.max)
    assert jain_index(log, cost, {}) == pytest.approx(jain_index(shuffled, cost, {}))
    assert heavy_tenants(log, cost) == heavy_tenants(shuffled, cost)


@part(2)
@given(log=logs, cost=costs)
def test_the_index_of_jain_is_that_of_its_definition(
    log: list[Record], cost: LinearCost
) -> None:
    assume(all(worth(record, cost) > 0 for record in log))

    index = jain_index(log, cost, WEIGHTS)

    assert naive_jain(log, cost) == pytest.approx(index, abs=1e-9)
    assert index is None or 0 < index <= 1 + 1e-9


@given(
    demands=st.dictionaries(st.sampled_from("abcd"), st.integers(1, 1000), min_size=1),
    total=st.integers(0, 3000),
)
def test_max_min_shares_are_those_of_a_rising_level(
    demands: dict[str, int], total: int
) -> None:
    amounts = {name: Fraction(amount) for name, amount in demands.items()}
    weights = {name: Fraction(WEIGHTS.get(name, 1.0)) for name in demands}

    shares = max_min_shares(
        {name: float(each) for name, each in demands.items()}, float(total), WEIGHTS
    )

    naive = naive_shares(amounts, Fraction(total), weights)
    assert {name: float(each) for name, each in naive.items()} == pytest.approx(shares)
    assert min(total, sum(demands.values())) == pytest.approx(sum(shares.values()))


@given(
    values=st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=40),
    q=st.integers(1, 99),
)
def test_percentiles_are_those_of_the_standard_library(
    values: list[float], q: int
) -> None:
    cuts = statistics.quantiles(values, n=100, method="inclusive")

    assert cuts[q - 1] == pytest.approx(percentile(values, q), rel=1e-9, abs=1e-3)
    assert min(values) == percentile(values, 0)
    assert max(values) == percentile(values, 100)


@given(
    values=st.lists(st.floats(0, 1), max_size=3),
    q=st.floats(max_value=-0.001) | st.floats(min_value=100.001),
)
def test_a_percentile_of_nothing_or_outside_is_refused(
    values: list[float], q: float
) -> None:
    with pytest.raises(UsageError, match="percentile"):
        percentile(values, q)


@given(log=logs, cost=costs, points=st.lists(moments, min_size=1, max_size=8))
def test_the_curve_is_the_service_until_each_point(
    log: list[Record], cost: LinearCost, points: list[float]
) -> None:
    points = sorted(points)
    curves = service_curve(log, cost, points)

    assert list(dict.fromkeys(record.client for record in log)) == list(curves)
    for name, curve in curves.items():
        for point, value in zip(points, curve, strict=True):
            done = (
                worth(record, cost) * share(record, Fraction(-1), Fraction(point))
                for record in log
                if record.client == name
            )
            assert float(sum(done)) == pytest.approx(value, abs=1e-6)


@given(log=logs, cost=costs)
def test_heavy_tenants_are_the_fewest_that_ask_for_half(
    log: list[Record], cost: LinearCost
) -> None:
    totals: dict[str, Fraction] = {}
    for record in log:
        amount = totals.get(record.client, Fraction(0)) + worth(record, cost)
        totals[record.client] = amount
    half = sum(totals.values(), Fraction(0)) / 2

    heavy = heavy_tenants(log, cost)

    assert sum(totals[name] for name in heavy) >= half
    assert sum(totals[name] for name in heavy[:-1]) < half
    light = [amount for name, amount in totals.items() if name not in heavy]
    assert max(light, default=0) <= min(totals[name] for name in heavy)
