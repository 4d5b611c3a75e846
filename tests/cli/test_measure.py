"""``fairq measure``: the figures of the paper, and those of our own replays."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli


def figure(out: str, label: str) -> str:
    """The last column of the only row with that label."""
    (row,) = [line for line in out.splitlines() if label in line]
    return row.split()[-1]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("measured_FCFS.csv.gz", ["759.97", "433.53", "32112.00"]),
        ("measured_VTC.csv.gz", ["368.40", "251.66", "6549.16"]),
    ],
)
def test_the_logs_of_a_real_gpu_give_the_published_figures(
    cli: Cli, traces: Path, tmp_path: Path, log: str, expected: list[str]
) -> None:
    path = tmp_path / "report.json"
    ran = cli("measure", traces / "arena" / log, "--json", path)
    assert (ran.code, ran.err) == (0, "")
    rows = [
        line for line in ran.out.splitlines() if line.startswith(" service difference")
    ]
    assert expected == [row.split()[-1] for row in rows]
    difference = json.loads(path.read_text())["runs"][0]["service_difference"]
    assert expected == [f"{difference[key]:.2f}" for key in ("max", "avg", "var")]


def test_a_log_of_a_replay_gives_the_report_of_the_replay(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    replayed, measured = tmp_path / "replayed.json", tmp_path / "measured.json"
    arguments = ("--json", replayed, "--requests-csv", tmp_path)
    assert cli("replay", trace, *SMALL, *arguments).code == 0
    assert cli("measure", tmp_path / "requests_vtc.csv", "--json", measured).code == 0
    (run,) = json.loads(replayed.read_text())["runs"]
    (log,) = json.loads(measured.read_text())["runs"]
    assert set(run) == set(log)
    for key in ("service_difference", "jain", "tenants"):
        assert run[key] == log[key]
    for key in ("requests", "finished", "prompt_tokens", "seconds", "tokens_per_s"):
        assert run["totals"][key] == log["totals"][key]
    assert set(run["totals"]) == set(log["totals"])


def test_what_a_log_does_not_tell_is_a_dash(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    cli("replay", trace, *SMALL, "--requests-csv", tmp_path)
    out = cli("measure", tmp_path / "requests_vtc.csv").out
    for label in ("largest gap of two tenants", "its bound", "preempted"):
        assert figure(out, label) == "-"
    assert figure(out, "finished") == "70"
