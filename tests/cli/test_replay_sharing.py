"""``fairq replay`` where prompts begin alike: cache, order, gate, a whole job."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import HEADER, Cli

GROUPS = "groups:12x6:320+16:8"
MACHINE = ("--kv-tokens", "3200", "--max-sequences", "8")
"""Room for fewer prefixes than there are groups."""

Runs = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def runs(cli: Cli, tmp_path: Path) -> Runs:
    """Replays the groups, or what it is given, and returns the runs of the report."""

    def run(*arguments: str | Path, trace: str | Path = GROUPS) -> list[dict[str, Any]]:
        path = tmp_path / "report.json"
        ran = cli("replay", trace, *MACHINE, *arguments, "--json", path)
        assert (0, "") == (ran.code, ran.err)
        made: list[dict[str, Any]] = json.loads(path.read_text())["runs"]
        return made

    return run


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """Three sessions of four calls, each with the prompt of the last one and more."""

    def call(turn: int) -> dict[str, object]:
        new = [[1 + 4 * turn, 4]]
        sizes = {"in": 256 * (turn + 1), "out": 40, "keep": 4 * turn, "new": new}
        return {"t": 9.0 * turn, **sizes, "think": 8.0, "api": 1.0, "tool": 1}

    lines = [
        {"id": name, "block_size": 64, "requests": [call(turn) for turn in range(4)]}
        for name in "abc"
    ]
    path = tmp_path / "agents.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def mooncake(tmp_path: Path) -> Path:
    """Prompts of two tenants that have their first block in common."""
    lines = [
        {
            "timestamp": 1000 * n,
            "input_length": 1000,
            "output_length": 4,
            "hash_ids": [0, 1 + n % 2],
        }
        for n in range(8)
    ]
    path = tmp_path / "mooncake.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def hits(run: dict[str, Any]) -> float:
    return float(run["totals"]["hit_rate"])


def test_a_trace_that_tells_what_prompts_share_runs_with_a_cache(runs: Runs) -> None:
    (run,) = runs()
    totals = run["totals"]
    assert 0 < totals["cached_tokens"] < totals["prompt_tokens"]
    assert totals["cached_tokens"] / totals["prompt_tokens"] == totals["hit_rate"]
    assert totals["makespan_s"] == totals["seconds"]
    # Leaders found nothing, nor did those whose prefix was evicted.
    assert 4 < run["coldest"]["requests"] < run["totals"]["requests"]
    assert run["coldest"]["first_token_p99_s"] > 0


def test_without_the_cache_nothing_is_found_and_it_takes_longer(runs: Runs) -> None:
    (on,) = runs("--prefix-cache")
    (off,) = runs("--no-prefix-cache")
    assert hits(off) == 0
    assert on["totals"]["makespan_s"] < off["totals"]["makespan_s"]


def test_a_trace_that_tells_nothing_runs_without_a_cache(
    runs: Runs, trace: Path
) -> None:
    (run,) = runs(trace=trace)
    assert runs("--no-prefix-cache", trace=trace) == [run]
    assert hits(run) == 0


def test_a_cache_for_all_finds_what_caches_of_tenants_do_not(
    runs: Runs, mooncake: Path
) -> None:
    (apart,) = runs("--share-prefixes", "tenant", trace=mooncake)
    assert runs(trace=mooncake) == [apart]
    (together,) = runs("--share-prefixes", "all", trace=mooncake)
    # All but the first prompt of each tenant; all but the first prompt.
    assert 6 * 992 == apart["totals"]["cached_tokens"]
    assert 6 * 992 + 512 == together["totals"]["cached_tokens"]


def test_every_policy_runs_under_the_name_it_was_given(
    runs: Runs, cli: Cli, tmp_path: Path
) -> None:
    names = ["fcfs", "vtc", "lpm", "dlpm:500", "dlpm:2e3", "gate:0", "gate:1.5e+3"]
    options = [each for name in names for each in ("--policy", name)]
    assert names == [run["policy"] for run in runs(*options)]
    logs = tmp_path / "logs"
    assert cli("replay", GROUPS, *MACHINE, *options, "--requests-csv", logs).code == 0
    expected = [f"requests_{name.replace(':', '-')}.csv" for name in names]
    assert sorted(expected) == sorted(path.name for path in logs.iterdir())


def test_a_gate_is_vtc_with_slack_that_prefers_cached_prefixes(runs: Runs) -> None:
    (gate,) = runs("--policy", "gate:700")
    (vtc,) = runs("--policy", "vtc", "--slack", "700", "--order", "prefix")
    assert vtc | {"policy": "gate:700"} == gate
    (fifo,) = runs("--policy", "gate:700", "--order", "fifo")
    (plain,) = runs("--policy", "vtc", "--slack", "700")
    assert plain | {"policy": "gate:700"} == fifo
    assert hits(plain) < hits(gate)


def test_a_gate_without_a_width_has_the_usual_one(runs: Runs) -> None:
    (plain,) = runs("--policy", "gate")
    (wide,) = runs("--policy", "gate:200000")
    assert wide | {"policy": "gate"} == plain


@pytest.mark.parametrize("name", ["lpm", "dlpm:1000", "gate:1000"])
def test_an_order_by_prefix_finds_more_than_fcfs(runs: Runs, name: str) -> None:
    fcfs, other = runs("--policy", "fcfs", "--policy", name)
    assert hits(fcfs) < hits(other)
    assert (name == "lpm") == (other["fairness"]["bound"] is None)


@pytest.mark.parametrize("order", ["shortest", "decode-heavy"])
def test_every_order_serves_everybody(runs: Runs, order: str) -> None:
    (run,) = runs("--order", order)
    assert run["totals"]["finished"] == 72


def test_a_job_that_is_planned_computes_each_prefix_once(
    runs: Runs, cli: Cli, tmp_path: Path
) -> None:
    (offline,) = runs("--offline")
    (online,) = runs("--policy", "fcfs")
    assert offline["policy"] == "fcfs"
    assert 12 * 5 * 320 == offline["totals"]["cached_tokens"]
    assert hits(online) < hits(offline)
    assert offline["totals"]["makespan_s"] < online["totals"]["makespan_s"]
    assert offline["totals"]["preemptions"] == 0
    ran = cli("replay", GROUPS, *MACHINE, "--offline", "--requests-csv", tmp_path)
    assert ran.code == 0
    rows = (tmp_path / "requests_fcfs.csv").read_text().splitlines()[1:]
    cached = [int(row.split(",")[-1]) for row in rows]
    # In the order of the trace the members of a group are scattered.
    assert {0: 12, 320: 60} == {each: cached.count(each) for each in cached}
    assert sorted(cached) != cached


def test_a_planned_job_is_limited_by_memory_only(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    def steps(*arguments: str) -> int:
        trace = "groups:100x1:16+1:20"
        ran = cli("replay", trace, "--kv-tokens", "6400", *arguments, "--json", path)
        assert ran.code == 0
        return int(json.loads(path.read_text())["runs"][0]["totals"]["steps"])

    assert steps("--offline") == 20
    assert steps("--offline", "--max-sequences", "50") > 35


def test_sessions_are_closed_loops(runs: Runs, sessions: Path) -> None:
    (run,) = runs("--window", "3", trace=sessions)
    assert run["totals"]["finished"] == 12
    # Three pauses of 8 s in the session that begins last, at 2 s.
    assert 26 < run["totals"]["makespan_s"] < 32
    (fast,) = runs("--window", "3", "--longest-pause", "1", trace=sessions)
    assert 5 < fast["totals"]["makespan_s"] < 11
    assert hits(run) == pytest.approx(0.6, abs=0.03)


def test_lengths_of_sessions_can_be_divided(runs: Runs, sessions: Path) -> None:
    (run,) = runs("--divide-lengths", "8", trace=sessions)
    assert 3 * 10 * 32 == run["totals"]["prompt_tokens"]
    assert 12 * 5 == run["totals"]["output_tokens"]


def test_the_tenants_of_a_mooncake_trace_can_be_chosen(
    runs: Runs, mooncake: Path
) -> None:
    (run,) = runs("--tenants", "1", trace=mooncake)
    assert ["tenant-0"] == list(run["tenants"])


def test_the_table_shows_the_cache_where_there_is_one(cli: Cli, tmp_path: Path) -> None:
    rows = ("makespan", "prompts found in cache", "first token, coldest, p99")
    on = cli("replay", GROUPS, *MACHINE, "--requests-csv", tmp_path).out
    off = cli("replay", GROUPS, *MACHINE, "--no-prefix-cache").out
    log = cli("measure", tmp_path / "requests_vtc.csv").out
    for row in rows:
        assert row in on
        assert row in log
        assert row not in off
    assert max(len(line) for line in on.splitlines()) <= 80


WRONG = {
    "dlpm without Q": (["--policy", "dlpm"], "expected one of vtc, fcfs, lpm, dlpm:Q"),
    "vtc with Q": (
        ["--policy", "vtc:3"],
        "dlpm:Q, gate, gate:Q with a number Q >= 0; got",
    ),
    "Q below 0": (["--policy", "gate:-1"], "with a number Q >= 0; got 'gate:-1'"),
    "endless Q": (["--policy", "gate:1e999"], "with a number Q >= 0; got 'gate:1e999'"),
    "odd Q": (["--policy", "gate:1_0"], "with a number Q >= 0; got 'gate:1_0'"),
    "unknown": (["--policy", "gat:1"], "got 'gat:1'"),
    "the same twice": (
        ["--policy", "gate:1e3", "--policy", "gate:1000"],
        "expected each policy once, got 'gate:1e3' twice",
    ),
    "slack beside a gate": (["--policy", "gate:1", "--slack", "2"], "only vtc has"),
    "unknown order": (["--order", "lifo"], "invalid choice: 'lifo'"),
    "scope without a cache": (
        ["--no-prefix-cache", "--share-prefixes", "all"],
        "--share-prefixes: this replay has no prefix cache, got 'all'",
    ),
    "caches of tenants offline": (
        ["--offline", "--share-prefixes", "tenant"],
        "--offline: one cache serves the whole job, got --share-prefixes tenant",
    ),
}


@pytest.mark.parametrize(("arguments", "expected"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused(
    cli: Cli, arguments: list[str], expected: str
) -> None:
    ran = cli("replay", GROUPS, *MACHINE, *arguments)
    assert (2, "") == (ran.code, ran.out)
    assert expected in ran.err


def test_a_cache_needs_something_to_share(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text(HEADER + "0,a,10,10\n")
    ran = cli("replay", path, "--prefix-cache")
    assert ran.code == 2
    assert "expected a trace that tells what prompts have in common" in ran.err


def test_a_closed_loop_cannot_be_planned(cli: Cli, sessions: Path) -> None:
    ran = cli("replay", sessions, "--offline")
    assert ran.code == 2
    assert "'agents' is a closed loop" in ran.err


def test_a_wrong_name_of_groups_is_told_the_form(cli: Cli) -> None:
    ran = cli("replay", "groups:4by4")
    assert ran.code == 2
    assert "expected groups:GROUPSxMEMBERS[:PREFIX+OWN:OUTPUT]" in ran.err
