"""Jain's index against max-min fair shares.

Source: R. Jain, D.-M. Chiu, W. Hawe, "A Quantitative Measure of Fairness and
Discrimination for Resource Allocation in Shared Computer Systems", DEC-TR-301, 1984:
(sum x)^2 / (n * sum x^2), where x is what somebody got over what was fair for it.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

from fairq.cost import LinearCost
from fairq.sim._values import Record
from fairq.sim._windows import PerTenant, outstanding, served


def jain_index(
    records: Sequence[Record], cost: LinearCost, weights: Mapping[str, float]
) -> float | None:
    """How evenly tenants got their fair share; 1 is perfect, 1/n one took all.

    In each window (those of ``service_difference``) the service that was given to all
    is divided by water-filling: by weight, but to nobody more than was open for it,
    which is what had arrived by the window's end and was not served by its start.
    x is a tenant's service over that share. The index is taken over the tenants with
    anything open, and then the mean over the windows in which anything was served.
    Costs O(requests + tenants * log(tenants)).

    Args:
        records: A run or a log, in any order.
        cost: The prices of tokens.
        weights: Of tenants; 1 for those that are not named.

    Returns:
        The mean index, 0 to 1; None when nothing was served in any window.
    """
    services, demands = served(records, cost), outstanding(records, cost)
    values = [
        _index(service, demand, weights)
        for service, demand in zip(services, demands, strict=True)
        if sum(service.values()) > 0
    ]
    return fmean(values) if values else None


def max_min_shares(
    demands: PerTenant, total: float, weights: Mapping[str, float]
) -> PerTenant:
    """Divide a total by weight, to nobody more than it demands (water-filling)."""
    shares: PerTenant = {}
    ratios = {name: weights.get(name, 1.0) for name in demands}
    left = sum(ratios.values())
    for name in sorted(demands, key=lambda name: demands[name] / ratios[name]):
        share = min(demands[name], total * ratios[name] / left)
        shares[name] = share
        total -= share
        left -= ratios[name]
    return shares


def _index(
    service: PerTenant, demand: PerTenant, weights: Mapping[str, float]
) -> float:
    hungry = {tenant: amount for tenant, amount in demand.items() if amount > 0}
    shares = max_min_shares(hungry, sum(service.values()), weights)
    got = [service.get(tenant, 0.0) / share for tenant, share in shares.items()]
    return sum(got) ** 2 / (len(got) * sum(x * x for x in got))
