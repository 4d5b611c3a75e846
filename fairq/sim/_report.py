"""Runs and logs as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from fairq.cost import LinearCost
from fairq.sim._coldest import coldest
from fairq.sim._difference import service_difference
from fairq.sim._jain import jain_index
from fairq.sim._tenants import heavy_tenants, tenant_reports
from fairq.sim._totals import total
from fairq.sim._values import Job, Record, Run, Totals, Trace

# What json.dumps takes: no closed type says more without a cast at every key.
Json = dict[str, Any]


def to_json(
    trace: Trace, runs: Sequence[Run], cost: LinearCost, weights: Mapping[str, float]
) -> Json:
    """A trace and its runs, ready for ``json.dumps``.

    Times are in seconds, service and gaps in service units. ``fairness.bound`` is null
    for a discipline without a gate, a latency is null where nothing finished. Costs
    O(requests * log(requests)) a run.
    """
    reports = [
        _run_json(run.records, run.totals, cost, weights)
        | {"policy": run.policy, "fairness": _fairness(run)}
        for run in runs
    ]
    return {"trace": _trace_json(trace.name, trace.jobs, cost), "runs": reports}


def log_to_json(
    name: str,
    records: Sequence[Record],
    cost: LinearCost,
    weights: Mapping[str, float],
) -> Json:
    """The report of ``to_json``, from a log.

    What a log does not hold is null: the policy, the fairness bound and gap, steps,
    preemptions and recomputed tokens. Costs O(requests * log(requests)).
    """
    report = _run_json(records, total(records), cost, weights)
    return {"trace": _trace_json(name, records, cost), "runs": [report]}


def _run_json(
    records: Sequence[Record],
    totals: Totals,
    cost: LinearCost,
    weights: Mapping[str, float],
) -> Json:
    tenants = tenant_reports(records, cost)
    return {
        "policy": None,
        "totals": attrs.asdict(totals),
        "service_difference": attrs.asdict(service_difference(records, cost)),
        "fairness": {"bound": None, "largest_gap": None},
        "jain": jain_index(records, cost, weights),
        "coldest": attrs.asdict(coldest(records)),
        "tenants": {name: attrs.asdict(each) for name, each in tenants.items()},
    }


def _fairness(run: Run) -> Json:
    return {"bound": run.bound, "largest_gap": run.largest_gap}


def _trace_json(name: str, items: Sequence[Job | Record], cost: LinearCost) -> Json:
    return {
        "name": name,
        "requests": len(items),
        "tenants": len(dict.fromkeys(item.client for item in items)),
        "seconds": max((item.arrival_s for item in items), default=0.0),
        "prompt_tokens": sum(item.prompt_tokens for item in items),
        "output_tokens": sum(item.output_tokens for item in items),
        "heavy_tenants": list(heavy_tenants(items, cost)),
    }
