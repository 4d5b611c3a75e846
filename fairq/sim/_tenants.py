"""What each tenant asked for and got."""

from collections.abc import Iterable, Sequence

import attrs

from fairq.cost import LinearCost
from fairq.sim._summary import Summary
from fairq.sim._values import Job, Record


@attrs.frozen(kw_only=True)
class TenantReport:
    """One tenant in one run."""

    requests: int
    finished: int
    service: float
    """The cost of its finished requests, in service units."""
    first_token_s: Summary | None
    """From arrival to first token; None when nothing finished."""
    latency_s: Summary | None
    """From arrival to last token; None when nothing finished."""

    @classmethod
    def of(cls, records: Sequence[Record], cost: LinearCost) -> "TenantReport":
        """Report on the records of one tenant."""
        finished = [record for record in records if not record.rejected]
        return cls(
            requests=len(records),
            finished=len(finished),
            service=asked_service(finished, cost),
            first_token_s=Summary.of(each.first_token_latency_s for each in finished),
            latency_s=Summary.of(each.request_latency_s for each in finished),
        )


def tenant_reports(
    records: Iterable[Record], cost: LinearCost
) -> dict[str, TenantReport]:
    """A report for each tenant, in the order in which they are first seen.

    Costs O(requests * log(requests)).
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.client, []).append(record)
    return {name: TenantReport.of(group, cost) for name, group in groups.items()}


def heavy_tenants(items: Iterable[Job | Record], cost: LinearCost) -> tuple[str, ...]:
    """The largest tenants that together ask for at least half of the service.

    As few as possible, largest first, ties by name; everybody else is called light.
    In the bundled trace these are 3 of 27. Costs O(requests).
    """
    totals: dict[str, float] = {}
    for item in items:
        service = cost.service(item.prompt_tokens, item.output_tokens)
        totals[item.client] = totals.get(item.client, 0.0) + service
    ranked = sorted(totals, key=lambda name: (-totals[name], name))
    heavy: list[str] = []
    wanted = sum(totals.values()) / 2
    for name in ranked:
        if wanted <= 0:
            break
        heavy.append(name)
        wanted -= totals[name]
    return tuple(heavy)


def asked_service(items: Iterable[Job | Record], cost: LinearCost) -> float:
    """The service that requests ask for together, in service units."""
    return sum(cost.service(each.prompt_tokens, each.output_tokens) for each in items)
