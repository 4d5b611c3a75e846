"""``fairq demo``: a real trace, more load than the machine can serve, two policies."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairq.cli._console import show
from fairq.cli._files import check_file
from fairq.cli._machine import NAME as SIMULATED
from fairq.cli._machine import Machine
from fairq.cli._model_demo import demo_on_model
from fairq.cli._picture import draw
from fairq.cli._policies import policy
from fairq.cli._runs import run_all
from fairq.cli._table import Column, comparison
from fairq.cli._verdict import throughput, verdict
from fairq.cli._words import grouped, seconds
from fairq.cost import LinearCost
from fairq.errors import UsageError
from fairq.sim import Outcome, Run, Trace, bundled_trace, heavy_tenants, outcome

MACHINE: Final = Machine(gpu="a100-llama3-8b", kv_tokens=10_000)
"""The KV pool is that of the VTC paper's own experiment with this trace, on an A10G."""

SPEED: Final = 3.75
"""Arrivals are compressed by this, for an offered load of ``LOAD``. When all requests
are there at once, the machine needs 240 s for what arrives in 600 s, so it is
``LOAD * 600 / 240``."""

LOAD: Final = 1.5
"""Work that arrives in a second, in seconds of the machine."""


PICTURE: Final = Path("fairq-demo.png")


def demo(arguments: Namespace) -> None:
    """Show what fair scheduling changes: on a simulated machine, or on a model."""
    if arguments.backend == SIMULATED:
        _refuse_model(arguments)
        _demo_simulated(arguments.plot or PICTURE)
    else:
        demo_on_model(arguments)


def _refuse_model(arguments: Namespace) -> None:
    for option in ("model", "mode"):
        if getattr(arguments, option) is not None:
            msg = (
                f"--{option}: the simulated backend runs no model. Add --backend "
                f"torch, or drop --{option}."
            )
            raise UsageError(msg)


def _demo_simulated(picture: Path) -> None:
    """A real trace, with 1.5 times the load that the machine can serve."""
    check_file("--plot", picture)
    cost = LinearCost()
    trace = bundled_trace().scaled(SPEED)
    heavy = heavy_tenants(trace.jobs, cost)
    show(_title(trace, heavy))
    runs = run_all(trace, MACHINE, {name: policy(name) for name in ("fcfs", "vtc")})
    outcomes = [outcome(run, cost, {}) for run in runs]
    show(comparison(_columns(runs, outcomes)), _verdict(*outcomes))
    draw(picture, runs, heavy=heavy, cost=cost, title=_title(trace, heavy))
    show(f"Picture: {picture}")


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


def _verdict(fcfs: Outcome, vtc: Outcome) -> str:
    return verdict(fcfs, vtc, throughput(fcfs, vtc))
