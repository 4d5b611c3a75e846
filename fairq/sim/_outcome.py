"""One line of the table that compares policies."""

from collections.abc import Iterable, Mapping

import attrs

from fairq.cost import LinearCost
from fairq.sim._coldest import Coldest, coldest
from fairq.sim._difference import ServiceDifference, service_difference
from fairq.sim._jain import jain_index
from fairq.sim._summary import Summary
from fairq.sim._tenants import heavy_tenants
from fairq.sim._values import Record, Run


@attrs.frozen(kw_only=True)
class Outcome:
    """A run in a few numbers."""

    policy: str
    tokens_per_s: float
    """Prompt and output tokens of finished requests, per second."""
    difference: ServiceDifference
    largest_gap: float
    """Measured; service units per unit of weight."""
    bound: float | None
    """Proven for ``largest_gap``; None when the discipline has no gate."""
    jain: float | None
    """None when nothing was served in any window."""
    light: Summary | None
    """First-token latency of the light tenants' requests, in seconds; None when
    none finished."""
    heavy: Summary | None
    """The same of the heavy tenants, which ask for half of the service."""
    coldest: Coldest
    """The requests that found least in the prefix cache."""


def outcome(run: Run, cost: LinearCost, weights: Mapping[str, float]) -> Outcome:
    """Sum up one run. Costs O(requests * log(requests))."""
    heavy = heavy_tenants(run.records, cost)
    light = [record for record in run.records if record.client not in heavy]
    rest = [record for record in run.records if record.client in heavy]
    return Outcome(
        policy=run.policy,
        tokens_per_s=run.totals.tokens_per_s,
        difference=service_difference(run.records, cost),
        largest_gap=run.largest_gap,
        bound=run.bound,
        jain=jain_index(run.records, cost, weights),
        light=_first_token(light),
        heavy=_first_token(rest),
        coldest=coldest(run.records),
    )


def _first_token(records: Iterable[Record]) -> Summary | None:
    return Summary.of(
        each.first_token_latency_s for each in records if not each.rejected
    )
