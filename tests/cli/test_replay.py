"""``fairq replay``: every flag does what it says; the files hold what they should."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import HEADER, SMALL, Cli

COLUMNS = (
    "client,prompt_tokens,output_tokens,arrival_s,"
    "first_token_latency_s,request_latency_s,cached_tokens"
)


Replay = Callable[..., dict[str, Any]]
"""Replays and returns the JSON report."""


@pytest.fixture
def report(cli: Cli, tmp_path: Path) -> Replay:
    def run(*arguments: str | Path) -> dict[str, Any]:
        path = tmp_path / "report.json"
        ran = cli("replay", *arguments, "--json", path)
        assert ran.err == ""
        assert ran.code == 0
        return dict(json.loads(path.read_text()))

    return run


def test_the_report_has_exactly_the_documented_keys(
    report: Replay, trace: Path
) -> None:
    made = report(trace, *SMALL, "--policy", "vtc", "--policy", "fcfs")
    latency = {"mean", "p50", "p99"}
    assert {"trace", "runs"} == set(made)
    assert ["vtc", "fcfs"] == [run["policy"] for run in made["runs"]]
    for run in made["runs"]:
        assert {
            "policy",
            "totals",
            "service_difference",
            "fairness",
            "jain",
            "coldest",
            "tenants",
        } == set(run)
        assert {
            "requests",
            "finished",
            "rejected",
            "prompt_tokens",
            "output_tokens",
            "seconds",
            "tokens_per_s",
            "makespan_s",
            "cached_tokens",
            "hit_rate",
            "steps",
            "preemptions",
            "recomputed_tokens",
        } == set(run["totals"])
        assert {"max", "avg", "var"} == set(run["service_difference"])
        assert {"bound", "largest_gap"} == set(run["fairness"])
        assert {"requests", "first_token_p99_s"} == set(run["coldest"])
        assert ["a", "b", "c"] == list(run["tenants"])
        for tenant in run["tenants"].values():
            assert {
                "requests",
                "finished",
                "service",
                "first_token_s",
                "latency_s",
            } == set(tenant)
            assert latency == set(tenant["first_token_s"]) == set(tenant["latency_s"])


def test_all_tokens_of_the_trace_are_served(report: Replay, trace: Path) -> None:
    totals = report(trace, *SMALL)["runs"][0]["totals"]
    with trace.open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == totals["requests"] == totals["finished"]
    assert sum(int(row["prompt_tokens"]) for row in rows) == totals["prompt_tokens"]
    assert sum(int(row["output_tokens"]) for row in rows) == totals["output_tokens"]


def test_vtc_is_the_default_and_has_a_bound_that_holds(
    report: Replay, trace: Path
) -> None:
    (run,) = report(trace, *SMALL)["runs"]
    assert run["policy"] == "vtc"
    assert 0 < run["fairness"]["largest_gap"] <= run["fairness"]["bound"]


def test_fcfs_has_no_bound(report: Replay, trace: Path) -> None:
    (run,) = report(trace, *SMALL, "--policy", "fcfs")["runs"]
    assert run["fairness"]["bound"] is None


def test_the_same_command_writes_the_same_bytes(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    written = []
    for _ in range(2):
        ran = cli(
            "replay",
            trace,
            *SMALL,
            *("--json", tmp_path / "r.json"),
            *("--requests-csv", tmp_path / "logs"),
            *("--plot", tmp_path / "r.png"),
        )
        assert ran.code == 0
        files = ("r.json", "logs/requests_vtc.csv", "r.png")
        written.append((ran.out, *((tmp_path / file).read_bytes() for file in files)))
    assert written[0] == written[1]


def test_a_larger_weight_is_served_sooner(report: Replay, trace: Path) -> None:
    def waits(*weights: str) -> tuple[float, float]:
        tenants = report(trace, *SMALL, *weights)["runs"][0]["tenants"]
        return (
            tenants["a"]["first_token_s"]["mean"],
            tenants["b"]["first_token_s"]["mean"],
        )

    a, b = waits()
    assert b == pytest.approx(a, rel=0.2)
    a, b = waits("--weights", "a=1,b=4")
    assert a > 1.5 * b
    a, b = waits("--weights", "a=4,b=1")
    assert b > 1.5 * a


def test_slack_widens_the_bound_by_twice_itself(report: Replay, trace: Path) -> None:
    def bound(*slack: str) -> float:
        run = report(trace, *SMALL, "--admission", "reserve", *slack)["runs"][0]
        return float(run["fairness"]["bound"])

    assert bound("--slack", "1000") >= bound() + 2000


def test_speed_divides_arrival_times(report: Replay, trace: Path) -> None:
    slow, fast = report(trace), report(trace, "--speed", "2")
    assert slow["trace"]["seconds"] == 2 * fast["trace"]["seconds"]


def test_reserve_never_preempts_and_optimistic_does(
    report: Replay, trace: Path
) -> None:
    def preemptions(admission: str) -> int:
        run = report(trace, "--kv-tokens", "700", "--admission", admission)["runs"][0]
        return int(run["totals"]["preemptions"])

    assert preemptions("reserve") == 0
    assert preemptions("optimistic") > 0


def test_max_tokens_cuts_every_output(report: Replay, trace: Path) -> None:
    totals = report(trace, "--max-tokens", "3")["runs"][0]["totals"]
    assert 3 * totals["requests"] == totals["output_tokens"]


def test_exact_max_tokens_is_the_default(report: Replay, trace: Path) -> None:
    assert report(trace) == report(trace, "--max-tokens", "exact")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--token-budget", "64"), ("--max-sequences", "4"), ("--block-size", "256")],
)
def test_a_smaller_machine_takes_more_steps(
    report: Replay, trace: Path, flag: str, value: str
) -> None:
    def steps(*arguments: str) -> int:
        return int(report(trace, *SMALL, *arguments)["runs"][0]["totals"]["steps"])

    assert steps(flag, value) > steps()


def test_another_gpu_takes_another_time(report: Replay, trace: Path) -> None:
    def seconds(gpu: str) -> float:
        return float(report(trace, "--gpu", gpu)["runs"][0]["totals"]["seconds"])

    assert seconds("a100-llama3-8b") > seconds("h100-llama3-8b")


def test_tenants_of_several_traces_are_kept_apart(
    report: Replay, trace: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copy(trace, tmp_path / "more.csv"))
    made = report(trace, other)
    assert {"three/a", "three/b", "three/c", "more/a", "more/b", "more/c"} == set(
        made["runs"][0]["tenants"]
    )


def test_each_policy_writes_a_row_for_each_request(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    policies = ("--policy", "fcfs", "--policy", "vtc")
    assert cli("replay", trace, *SMALL, *policies, "--requests-csv", logs).code == 0
    assert ["requests_fcfs.csv", "requests_vtc.csv"] == sorted(
        path.name for path in logs.iterdir()
    )
    lines = (logs / "requests_vtc.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    assert len(trace.read_text().splitlines()) == len(lines)


def test_a_request_that_never_fits_is_rejected_and_marked(
    cli: Cli, report: Replay, tmp_path: Path
) -> None:
    path = tmp_path / "big.csv"
    path.write_text(HEADER + "0,a,5000,10\n0,b,10,10\n")
    made = report(path, *SMALL, "--requests-csv", tmp_path)
    totals = made["runs"][0]["totals"]
    assert (totals["finished"], totals["rejected"]) == (1, 1)
    tenant = made["runs"][0]["tenants"]["a"]
    assert (tenant["finished"], tenant["first_token_s"]) == (0, None)
    first = (tmp_path / "requests_vtc.csv").read_text().splitlines()[1].split(",")
    assert first[:3] == ["a", "5000", "10"]
    assert [float(first[4]), float(first[5])] == [-1, -1]
    assert cli("measure", tmp_path / "requests_vtc.csv").code == 0


def test_nobody_is_rejected_because_a_queue_is_long(
    report: Replay, tmp_path: Path
) -> None:
    path = tmp_path / "flood.csv"
    path.write_text(HEADER + "0,a,1,1\n" * 10_001)
    totals = report(path, "--token-budget", "256")["runs"][0]["totals"]
    assert (totals["finished"], totals["rejected"]) == (10_001, 0)


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_terminal(
    cli: Cli, trace: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    out = cli("replay", trace, *SMALL, "--policy", "vtc", "--policy", "fcfs").out
    assert max(len(line) for line in out.splitlines()) <= width
    assert "..." not in out
    assert "\N{HORIZONTAL ELLIPSIS}" not in out


def test_gpu_list_prints_a_preset_a_line(cli: Cli) -> None:
    ran = cli("replay", "--gpu", "list")
    assert ran.code == 0
    assert [
        "a100-llama3-8b",
        "h100-llama3-8b",
        "h200-llama3-8b",
        "rtxpro6000-llama3.1-8b",
    ] == ran.out.split()


def test_every_listed_preset_can_be_used(cli: Cli, trace: Path) -> None:
    for gpu in cli("replay", "--gpu", "list").out.split():
        assert cli("replay", trace, "--gpu", gpu).code == 0


def test_a_picture_of_one_policy_and_one_tenant_is_drawn(
    cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "one.csv"
    path.write_text(HEADER + "0,a,10,10\n")
    assert cli("replay", path, "--plot", tmp_path / "one.png").code == 0
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_a_picture_is_drawn_although_everything_was_rejected(
    cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "none.csv"
    path.write_text(HEADER + "0,a,5000,10\n")
    assert cli("replay", path, *SMALL, "--plot", tmp_path / "none.png").code == 0
    assert (tmp_path / "none.png").stat().st_size > 0
