"""``fairq demo``: a real trace, more load than the machine can serve, two policies."""

from argparse import Namespace
from collections.abc import Sequence
from typing import Final

from fairq.cli._console import show
from fairq.cli._files import check_file
from fairq.cli._machine import Machine
from fairq.cli._picture import draw
from fairq.cli._policies import policy
from fairq.cli._runs import run_all
from fairq.cli._table import Column, comparison
from fairq.cli._words import grouped, seconds
from fairq.cost import LinearCost
from fairq.sim import Outcome, Run, Trace, bundled_trace, heavy_tenants, outcome

MACHINE: Final = Machine(gpu="a100-llama3-8b", kv_tokens=10_000)
"""The KV pool is that of the VTC paper's own experiment with this trace, on an A10G."""

SPEED: Final = 3.75
"""Arrivals are compressed by this, for an offered load of ``LOAD``. When all requests
are there at once, the machine needs 240 s for what arrives in 600 s, so it is
``LOAD * 600 / 240``."""

LOAD: Final = 1.5
"""Work that arrives in a second, in seconds of the machine."""


def demo(arguments: Namespace) -> None:
    """Show what fair scheduling changes when the load is 1.5 times the capacity."""
    check_file("--plot", arguments.plot)
    cost = LinearCost()
    trace = bundled_trace().scaled(SPEED)
    heavy = heavy_tenants(trace.jobs, cost)
    show(_title(trace, heavy))
    runs = run_all(trace, MACHINE, [policy("fcfs"), policy("vtc")])
    outcomes = [outcome(run, cost, {}) for run in runs]
    show(comparison(_columns(runs, outcomes)), _conclusion(*outcomes))
    draw(arguments.plot, runs, heavy=heavy, cost=cost, title=_title(trace, heavy))
    show(f"Picture: {arguments.plot}")


def _title(trace: Trace, heavy: Sequence[str]) -> str:
    duration = seconds(trace.jobs[-1].arrival_s)
    return (
        f"Chatbot Arena: {grouped(trace.jobs, heavy)} "
        f"in {duration} ({SPEED:g} times as fast as recorded), "
        f"on a simulated {MACHINE.gpu} with room for {MACHINE.kv_tokens:,} tokens: "
        f"{LOAD:g} times what it can serve."
    )


def _columns(runs: Sequence[Run], outcomes: Sequence[Outcome]) -> list[Column]:
    pairs = zip(runs, outcomes, strict=True)
    return [Column(run.policy, run.totals, figures) for run, figures in pairs]


def _conclusion(fcfs: Outcome, vtc: Outcome) -> str:
    assert fcfs.light is not None  # noqa: S101  # the trace has light tenants
    assert vtc.light is not None  # noqa: S101  # as above
    ratio = fcfs.light.mean / vtc.light.mean
    throughput = 100 * vtc.tokens_per_s / fcfs.tokens_per_s
    return (
        f"Under VTC the light tenants get their first token {ratio:.1f} times sooner "
        f"({vtc.light.mean:.1f} s and not {fcfs.light.mean:.1f} s), "
        f"at {throughput:.1f} % of the throughput of FCFS."
    )
