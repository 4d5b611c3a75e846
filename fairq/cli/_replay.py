"""``fairq replay``: traces on a simulated machine, under one policy or several."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from fairq.cli._console import show
from fairq.cli._files import check_file, check_new_folder, write_json
from fairq.cli._machine import Machine, presets
from fairq.cli._picture import draw
from fairq.cli._policies import Choice, Rules, check_choices, policy
from fairq.cli._runs import run_all
from fairq.cli._sharing import prefix_cache
from fairq.cli._table import CACHED, ROWS, Column, comparison
from fairq.cli._traces import trace_of
from fairq.cli._words import grouped, seconds
from fairq.order import Order
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache
from fairq.sim import (
    Run,
    Trace,
    heavy_tenants,
    outcome,
    plan_trace,
    to_json,
    write_log,
)

LIST: Final = "list"
"""In place of a preset: list them."""

MAX_SEQUENCES: Final = 256
"""In a step, unless told otherwise."""


def replay(arguments: Namespace) -> None:
    """Run the traces, show the table, and write what was asked for."""
    if arguments.gpu == LIST:
        show(*presets())
        return
    choices = _choices(arguments)
    check_choices(choices, arguments.slack)
    _check_outputs(arguments)
    machine = _machine(arguments)
    trace = trace_of(arguments)
    policies = _policies(arguments, choices, prefix_cache(arguments, trace))
    if arguments.offline:
        runs = _run_offline(trace, machine, policies, arguments.max_tokens)
    else:
        runs = run_all(trace, machine, policies, arguments.max_tokens)
    _report(arguments, trace, runs, policies[choices[0].name])


def _choices(arguments: Namespace) -> list[Choice]:
    standard = "fcfs" if arguments.offline else "vtc"
    return arguments.policy or [Choice(standard, standard)]


def _policies(
    arguments: Namespace, choices: Sequence[Choice], cache: PrefixCache | None
) -> dict[str, Policy]:
    """The policies to run, by the names that were given."""
    admission = Admission.RESERVE if arguments.offline else Admission.OPTIMISTIC
    if arguments.admission is not None:
        admission = Admission(arguments.admission)
    rules = Rules(
        weights=arguments.weights or {},
        admission=admission,
        order=None if arguments.order is None else Order(arguments.order),
        prefix_cache=cache,
    )
    slack = arguments.slack or 0.0
    return {each.name: policy(each.name, slack=slack, rules=rules) for each in choices}


def _run_offline(
    trace: Trace,
    machine: Machine,
    policies: Mapping[str, Policy],
    max_tokens: int | None,
) -> list[Run]:
    """Run a trace in the order of a plan; records are in that of the trace."""
    capacity = machine.check()
    planned = plan_trace(
        trace,
        block_size=capacity.block_size,
        pool_tokens=capacity.blocks * capacity.block_size,
    )
    return [
        attrs.evolve(run, records=planned.restored(run.records))
        for run in run_all(planned.trace, machine, policies, max_tokens)
    ]


def _check_outputs(arguments: Namespace) -> None:
    check_file("--json", arguments.json)
    check_file("--plot", arguments.plot)
    check_new_folder("--requests-csv", arguments.requests_csv)


def _machine(arguments: Namespace) -> Machine:
    """The machine that is asked for, once it is known that there can be one."""
    machine = Machine(
        gpu=arguments.gpu,
        kv_tokens=arguments.kv_tokens,
        block_size=arguments.block_size,
        token_budget=arguments.token_budget,
        max_sequences=arguments.max_sequences or MAX_SEQUENCES,
        seed=arguments.seed,
    )
    capacity = machine.check()
    if arguments.offline and arguments.max_sequences is None:
        # Memory decides: each sequence has at least one block.
        return attrs.evolve(machine, max_sequences=capacity.blocks)
    return machine


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
    show(title, comparison(columns, ROWS if policy.prefix_cache is None else CACHED))
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
        write_log(folder / f"requests_{_safe(run.policy)}.csv", run.records)


def _safe(name: str) -> str:
    """A policy as a part of a file name: some systems have no colon in theirs."""
    return name.replace(":", "-")
