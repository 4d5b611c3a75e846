"""The service difference of the VTC paper."""

from pathlib import Path

import pytest

from fairq.sim import Record, ServiceDifference, read_log, service_difference


@pytest.mark.parametrize(
    ("scheduler", "expected"),
    [
        ("FCFS", ("759.97", "433.53", "32112.00")),
        ("VTC", ("368.40", "251.66", "6549.16")),
    ],
)
def test_the_measured_logs_give_the_figures_of_the_paper(
    traces: Path, scheduler: str, expected: tuple[str, str, str]
) -> None:
    records = read_log(traces / "arena" / f"measured_{scheduler}.csv.gz")
    found = service_difference(records)
    assert expected == (f"{found.max:.2f}", f"{found.avg:.2f}", f"{found.var:.2f}")


def test_a_tenant_that_is_alone_lacks_nothing() -> None:
    records = [Record("a", 60, 30, 30.0, 0.0, 10.0)]
    assert ServiceDifference(0.0, 0.0, 0.0) == service_difference(records)


def test_what_a_tenant_lacks_is_what_it_asked_for_and_did_not_get() -> None:
    # Only the first window, [28.5, 88.5], sees both: a got 600, b asked for 120 of
    # which it got nothing before 100 s, when only the last windows see it.
    records = [
        Record("a", 600 - 2, 1, 0.0, 28.5, 28.5),
        Record("b", 120 - 2, 1, 28.5, 71.5, 71.5),
    ]
    found = service_difference(records)
    # Windows 2 and 3, [57, 117] and [85.5, 145.5], see b's 120 and nobody else's.
    assert found.max == pytest.approx(min(600 - 0, 120) / 60)
    assert found.avg == pytest.approx(2 / 19)
    assert found.var == pytest.approx((2 - 2 / 19) ** 2 / 19 + 18 * (2 / 19) ** 2 / 19)


def test_windows_include_both_of_their_ends() -> None:
    at = [Record("a", 598, 1, when, 0.0, 0.0) for when in (28.5, 88.5, 28.4999, 658.5)]
    asked = Record("b", 58, 1, 0.0, 700.0, 700.0)
    counted = [
        service_difference([record, Record("b", 58, 1, 30.0, -1.0, -1.0)]).max
        for record in at
    ]
    # b asks for 60 at 30 s, which only window 1 sees; it lacks that if a got anything.
    assert counted == [1.0, 1.0, 0.0, 0.0]
    assert service_difference([asked]).max == 0.0


def test_service_is_spread_evenly_from_first_to_last_token() -> None:
    # 600 over [18.5, 38.5]: half of it in window 1, nothing in the others. b lacks
    # nearly as much in window 1 and asked for more.
    records = [
        Record("a", 598, 1, 0.0, 18.5, 38.5),
        Record("b", 5998, 1, 40.0, -1.0, -1.0),
    ]
    assert service_difference(records).max == pytest.approx(300 / 60)


def test_no_requests_make_no_difference() -> None:
    assert ServiceDifference(0.0, 0.0, 0.0) == service_difference([])
