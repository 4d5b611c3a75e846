"""Reports on tenants, and who is heavy."""

from fairq.cost import LinearCost
from fairq.sim import (
    Job,
    Record,
    Summary,
    TenantReport,
    bundled_trace,
    heavy_tenants,
    tenant_reports,
)

COST = LinearCost()


def test_a_report_counts_what_finished_and_what_did_not() -> None:
    records = [
        Record("b", 10, 5, 0.0, 1.0, 2.0),
        Record("a", 1, 1, 0.0, -1.0, -1.0),
        Record("b", 20, 5, 1.0, 3.0, 4.0),
        Record("b", 99, 9, 1.0, -1.0, -1.0),
    ]
    reports = tenant_reports(records, COST)
    assert list(reports) == ["b", "a"]
    assert reports["b"] == TenantReport(
        requests=3,
        finished=2,
        service=50.0,
        first_token_s=Summary(2.0, 2.0, 2.98),
        latency_s=Summary(3.0, 3.0, 3.98),
    )
    assert reports["a"].first_token_s is None
    assert reports["a"].latency_s is None


def test_three_tenants_of_the_bundled_trace_are_heavy() -> None:
    assert heavy_tenants(bundled_trace().jobs, COST) == ("2", "10", "0")


def test_half_of_the_service_is_enough_to_be_heavy() -> None:
    jobs = [Job("a", 0.0, 8, 1), Job("b", 0.0, 3, 1), Job("c", 0.0, 3, 1)]
    assert heavy_tenants(jobs, COST) == ("a",)


def test_equal_tenants_are_ranked_by_name() -> None:
    jobs = [Job(name, 0.0, 1, 1) for name in "dbca"]
    assert heavy_tenants(jobs, COST) == ("a", "b")


def test_nobody_is_heavy_where_nobody_asks() -> None:
    assert heavy_tenants([], COST) == ()
