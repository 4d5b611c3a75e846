"""``fairq replay``: traces on a simulated machine, under one policy or several."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairq.cli._console import show
from fairq.cli._files import check_file, check_new_folder, write_json
from fairq.cli._machine import Machine, presets
from fairq.cli._picture import draw
from fairq.cli._policies import check_names, policy
from fairq.cli._runs import run_all
from fairq.cli._table import Column, comparison
from fairq.cli._words import grouped, seconds
from fairq.errors import UsageError
from fairq.policy import Admission, Policy
from fairq.sim import (
    Run,
    Trace,
    heavy_tenants,
    merge_traces,
    outcome,
    read_trace,
    to_json,
    write_log,
)

LIST: Final = "list"
"""In place of a preset: list them."""


def replay(arguments: Namespace) -> None:
    """Run the traces, show the table, and write what was asked for."""
    if arguments.gpu == LIST:
        show(*presets())
        return
    policies = _policies(arguments)
    _check_outputs(arguments)
    machine = _machine(arguments)
    machine.check()
    trace = _trace(arguments)
    runs = run_all(trace, machine, policies, arguments.max_tokens)
    _report(arguments, trace, runs, policies[0])


def _policies(arguments: Namespace) -> list[Policy]:
    names = arguments.policy or ["vtc"]
    check_names(names, arguments.slack)
    return [
        policy(
            name,
            slack=arguments.slack or 0.0,
            weights=arguments.weights,
            admission=Admission(arguments.admission),
        )
        for name in names
    ]


def _check_outputs(arguments: Namespace) -> None:
    check_file("--json", arguments.json)
    check_file("--plot", arguments.plot)
    check_new_folder("--requests-csv", arguments.requests_csv)


def _machine(arguments: Namespace) -> Machine:
    return Machine(
        gpu=arguments.gpu,
        kv_tokens=arguments.kv_tokens,
        block_size=arguments.block_size,
        token_budget=arguments.token_budget,
        max_sequences=arguments.max_sequences,
        seed=arguments.seed,
    )


def _trace(arguments: Namespace) -> Trace:
    if not arguments.traces:
        msg = "replay: expected at least one TRACE, got none."
        raise UsageError(msg)
    trace = merge_traces([read_trace(path) for path in arguments.traces])
    return trace.scaled(arguments.speed)


def _report(
    arguments: Namespace, trace: Trace, runs: Sequence[Run], policy: Policy
) -> None:
    cost, weights = policy.cost, policy.weights
    heavy = heavy_tenants(trace.jobs, cost)
    title = _title(trace, heavy, arguments)
    outcomes = [outcome(run, cost, weights) for run in runs]
    columns = [
        Column(run.policy, run.totals, figures)
        for run, figures in zip(runs, outcomes, strict=True)
    ]
    show(title, comparison(columns))
    if arguments.json is not None:
        write_json(arguments.json, to_json(trace, runs, cost, weights))
    if arguments.requests_csv is not None:
        _write_logs(arguments.requests_csv, runs)
    if arguments.plot is not None:
        draw(arguments.plot, runs, heavy=heavy, cost=cost, title=title)


def _title(trace: Trace, heavy: Sequence[str], arguments: Namespace) -> str:
    last = trace.jobs[-1].arrival_s
    return (
        f"{trace.name}: {grouped(trace.jobs, heavy)} "
        f"in {seconds(last)}, on a simulated {arguments.gpu}."
    )


def _write_logs(folder: Path, runs: Sequence[Run]) -> None:
    folder.mkdir(exist_ok=True)
    for run in runs:
        write_log(folder / f"requests_{run.policy}.csv", run.records)
