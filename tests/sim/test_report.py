"""Runs and logs as JSON, and as one line of a table."""

import json
from pathlib import Path
from typing import Any

import pytest

from fairq.cost import LinearCost
from fairq.disciplines import Fcfs
from fairq.policy import Policy
from fairq.sim import (
    Job,
    Trace,
    bundled_trace,
    log_to_json,
    outcome,
    read_log,
    service_difference,
    simulate,
    to_json,
    write_log,
)
from tests.sim.machine import SECOND, Machine

COST = LinearCost()


@pytest.fixture(scope="module")
def trace() -> Trace:
    short = Trace("short", bundled_trace().jobs[:400])
    last = short.jobs[-1].arrival_s
    return Trace("short", (*short.jobs, Job("huge", last, 10**6, 1)))


@pytest.fixture(scope="module")
def report(trace: Trace) -> dict[str, Any]:
    runs = [
        simulate(trace, Machine(blocks=300, step_ns=SECOND // 10), policy)
        for policy in (Policy(), Policy(discipline=Fcfs()))
    ]
    report: dict[str, Any] = json.loads(json.dumps(to_json(trace, runs, COST, {})))
    return report


def test_the_report_has_exactly_these_keys(report: dict[str, Any]) -> None:
    assert set(report) == {"trace", "runs"}
    vtc, fcfs = report["runs"]
    keys = "policy totals service_difference fairness jain coldest tenants"
    assert set(keys.split()) == set(vtc) == set(fcfs)
    keys = (
        "requests finished rejected prompt_tokens output_tokens seconds "
        "tokens_per_s makespan_s cached_tokens hit_rate "
        "steps preemptions recomputed_tokens"
    )
    assert set(keys.split()) == set(vtc["totals"])
    assert set(vtc["service_difference"]) == {"max", "avg", "var"}
    assert set(vtc["fairness"]) == {"bound", "largest_gap"}
    assert set(vtc["coldest"]) == {"requests", "first_token_p99_s"}
    keys = "requests finished service first_token_s latency_s"
    assert set(keys.split()) == set(vtc["tenants"]["0"])
    assert set(vtc["tenants"]["0"]["latency_s"]) == {"mean", "p50", "p99"}


def test_the_report_names_policy_trace_and_bound(report: dict[str, Any]) -> None:
    vtc, fcfs = report["runs"]
    assert ("vtc", "fcfs") == (vtc["policy"], fcfs["policy"])
    assert vtc["fairness"]["largest_gap"] <= vtc["fairness"]["bound"]
    assert fcfs["fairness"]["bound"] is None
    assert report["trace"]["name"] == "short"
    assert report["trace"]["requests"] == 401


def test_where_nothing_finished_latencies_are_null(report: dict[str, Any]) -> None:
    huge = report["runs"][0]["tenants"]["huge"]
    assert huge == {
        "requests": 1,
        "finished": 0,
        "service": 0,
        "first_token_s": None,
        "latency_s": None,
    }
    assert report["runs"][0]["totals"]["rejected"] == 1


def test_totals_are_the_sums_of_the_tenants(report: dict[str, Any]) -> None:
    for run in report["runs"]:
        totals, tenants = run["totals"], run["tenants"].values()
        assert totals["requests"] == sum(each["requests"] for each in tenants)
        assert totals["finished"] == sum(each["finished"] for each in tenants)
        service = COST.service(totals["prompt_tokens"], totals["output_tokens"])
        assert service == sum(each["service"] for each in tenants)


def test_measuring_a_written_log_gives_the_report_of_the_run(
    tmp_path: Path, trace: Trace
) -> None:
    run = simulate(trace, Machine(blocks=300, step_ns=SECOND // 10), Policy())
    write_log(tmp_path / "log.csv.gz", run.records)
    records = read_log(tmp_path / "log.csv.gz")
    assert records == run.records
    live = to_json(trace, [run], COST, {})["runs"][0]
    measured = log_to_json("log", records, COST, {})["runs"][0]
    for key in ("service_difference", "jain", "coldest", "tenants"):
        assert live[key] == measured[key]
    unknown = {"steps": None, "preemptions": None, "recomputed_tokens": None}
    assert live["totals"] | unknown == measured["totals"]
    assert measured["policy"] is None
    assert {"bound": None, "largest_gap": None} == measured["fairness"]


def test_an_outcome_sums_a_run_up(trace: Trace) -> None:
    run = simulate(trace, Machine(blocks=300, step_ns=SECOND // 10), Policy())
    found = outcome(run, COST, {})
    assert found.policy == "vtc"
    assert (run.bound, run.largest_gap) == (found.bound, found.largest_gap)
    assert service_difference(run.records) == found.difference
    assert found.light is not None
    assert found.jain is not None
    assert 0 < found.jain <= 1
    # Only the one request that can never fit is heavy: it asks for the most.
    assert found.heavy is None
