"""The service difference of the VTC paper (section 5.1 and its artifact)."""

from collections.abc import Sequence
from statistics import fmean, pvariance
from typing import Final

import attrs

from fairq.cost import LinearCost
from fairq.sim._values import Record
from fairq.sim._windows import WIDTH_S, PerTenant, arrived, served

DEFAULT_COST: Final = LinearCost()


@attrs.frozen
class ServiceDifference:
    """How far tenants are apart, over all ticks; service units per second."""

    max: float
    avg: float
    var: float
    """Population variance, in (service units per second) squared."""


def service_difference(
    records: Sequence[Record], cost: LinearCost = DEFAULT_COST
) -> ServiceDifference:
    """How much service tenants lacked beside the one that got most; 0 is even.

    Ticks are x = 28.5 * i seconds, i = 1..19, windows [x, x + 60]. Per tenant, service
    is the cost of its requests, spread evenly from first to last token, and demand the
    cost of its requests that arrived in the window (rejected ones too), both divided by
    60 s. The value at a tick is the sum over tenants of min(largest service - service,
    |demand - service|). Weights play no part in it. Costs O(requests).

    Args:
        records: A run or a log, in any order.
        cost: The prices of tokens.
    """
    values = list(map(_value, served(records, cost), arrived(records, cost)))
    return ServiceDifference(max(values), fmean(values), pvariance(values))


def _value(service: PerTenant, demand: PerTenant) -> float:
    largest = max(service.values(), default=0.0)
    tenants = dict.fromkeys([*service, *demand])
    return sum(
        _lack(largest, service.get(tenant, 0.0), demand.get(tenant, 0.0))
        for tenant in tenants
    )


def _lack(largest: float, service: float, demand: float) -> float:
    return min(largest - service, abs(demand - service)) / WIDTH_S
