"""What one column of the picture shows, computed before anything is drawn."""

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from fairq.cost import LinearCost
from fairq.sim import Record, Run, service_curve

POINTS: Final = 300
"""Of a service curve; more than the eye can tell apart at this width."""


@attrs.frozen
class Waits:
    """First-token latencies of a group of tenants; empty when it has no requests."""

    arrival_s: tuple[float, ...]
    latency_s: tuple[float, ...]

    @property
    def mean_s(self) -> float | None:
        """None when nobody was served."""
        latencies = self.latency_s
        return sum(latencies) / len(latencies) if latencies else None


@attrs.frozen(kw_only=True)
class Column:
    """One run."""

    policy: str
    times_s: Sequence[float]
    curves: Mapping[str, Sequence[float]]
    """Service of each tenant until each of the times."""
    light: Waits
    heavy: Waits
    last_arrival_s: float
    heavy_share: float
    """Of the service given until the last arrival; 0 to 1."""


def times_of(runs: Sequence[Run]) -> tuple[float, ...]:
    """Evenly spaced, from 0 to the end of the longest run."""
    end = max(run.totals.seconds for run in runs)
    return tuple(end * index / (POINTS - 1) for index in range(POINTS))


def column(
    run: Run, heavy: Sequence[str], cost: LinearCost, times_s: Sequence[float]
) -> Column:
    """Costs O(requests + tenants * times)."""
    curves = service_curve(run.records, cost, times_s)
    last = max(record.arrival_s for record in run.records)
    return Column(
        policy=run.policy,
        times_s=times_s,
        curves=curves,
        light=_waits([r for r in run.records if r.client not in heavy]),
        heavy=_waits([r for r in run.records if r.client in heavy]),
        last_arrival_s=last,
        heavy_share=_share(curves, heavy, _nearest(times_s, last)),
    )


def _waits(records: Sequence[Record]) -> Waits:
    served = [record for record in records if not record.rejected]
    return Waits(
        arrival_s=tuple(record.arrival_s for record in served),
        latency_s=tuple(record.first_token_latency_s for record in served),
    )


def _nearest(times: Sequence[float], time: float) -> int:
    return min(range(len(times)), key=lambda i: abs(times[i] - time))


def _share(
    curves: Mapping[str, Sequence[float]], heavy: Sequence[str], index: int
) -> float:
    total = sum(curve[index] for curve in curves.values())
    part = sum(curve[index] for client, curve in curves.items() if client in heavy)
    return part / total if total else 0.0
