"""``fairq demo`` on a model: three tenants on SmolLM2-135M, FCFS against VTC."""

from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import Final

from fairq.cli._answers import Served, agreement, answers_table
from fairq.cli._catalogue import locate
from fairq.cli._chats import Traffic
from fairq.cli._console import show
from fairq.cli._files import check_file
from fairq.cli._parser import SMALL_MODEL
from fairq.cli._picture import draw
from fairq.cli._policies import policy
from fairq.cli._progress import bars
from fairq.cli._recording import Recording
from fairq.cli._table import SHORT, Column, comparison
from fairq.cli._text import (
    TextBackend,
    Tokenizer,
    check_backend,
    load_text_backend,
    tokenizer_of,
)
from fairq.cli._verdict import steps, verdict
from fairq.cli._words import grouped, seconds
from fairq.cost import LinearCost
from fairq.engine import request_check
from fairq.errors import BackendError
from fairq.sim import Outcome, heavy_tenants, outcome, simulate

SIZES: Final = {"max_sequences": 16, "tokens_per_step": 128, "blocks": 256}
"""Of the backend: few enough sequences for a queue, steps of well below a second on a
CPU, and KV for all sequences at their longest."""

OTHER_MODEL: Final = "The demo needs one; choose another --model."


def demo_on_model(arguments: Namespace) -> None:
    """Serve the chats under both policies; show texts, table, verdict and picture."""
    picture = arguments.plot or Path(f"fairq-demo-{arguments.backend}.png")
    check_file("--plot", picture)
    check_backend(arguments.backend)
    model = locate(arguments.model or SMALL_MODEL)
    with closing(_backend(arguments, model)) as backend:
        traffic = Traffic.of(tokenizer_of(backend, OTHER_MODEL))
        _check(traffic, backend)
        title = _title(traffic, backend)
        show(title)
        fcfs = _serve(traffic, backend, "fcfs")
    # Anew, as if the machine had just been started: FCFS leaves nothing to VTC.
    with closing(_backend(arguments, model)) as backend:
        vtc = _serve(traffic, backend, "vtc")
    _report(traffic, (fcfs, vtc), title, picture)


def _backend(arguments: Namespace, model: str) -> TextBackend:
    options: dict[str, object] = {"model": model, **SIZES}
    if arguments.mode is not None:
        options["mode"] = arguments.mode
    return load_text_backend(arguments.backend, **options)


def _check(traffic: Traffic, backend: TextBackend) -> None:
    """Refuse a model that cannot run the chats, before anything is served.

    Raises:
        RequestRejected: a chat leaves no room in its context.
        UsageError: it does not know a token of its own tokenizer.
    """
    check = request_check(backend)
    for index, job in enumerate(traffic.trace.jobs):
        check(traffic.request(index, job))


def _title(traffic: Traffic, backend: TextBackend) -> str:
    jobs = traffic.trace.jobs
    heavy = heavy_tenants(jobs, LinearCost())
    span, places = seconds(jobs[-1].arrival_s), backend.capacity.max_sequences
    return (
        f"{backend.model_name}: {grouped(jobs, heavy)} in {span}, {places} at a time. "
        f"Steps take the time that is measured; waiting for arrivals is skipped."
    )


def _serve(traffic: Traffic, backend: TextBackend, name: str) -> Served:
    recording = Recording(backend)
    with bars(len(traffic.chats)) as start:
        run = simulate(
            traffic.trace,
            recording,
            policy(name),
            progress=start(name),
            requests=traffic.request,
        )
    if recording.problem is not None:
        msg = f"A step of the {name} run failed: {recording.problem}"
        raise BackendError(msg, backend=type(backend).__name__)
    tokenizer = tokenizer_of(backend, OTHER_MODEL)
    return Served(run, _texts(traffic, recording, tokenizer))


def _texts(
    traffic: Traffic, recording: Recording, tokenizer: Tokenizer
) -> tuple[str, ...]:
    return tuple(
        tokenizer.decode(recording.answers.get(prompt, ()))
        for prompt in traffic.prompts
    )


def _report(
    traffic: Traffic, served: tuple[Served, Served], title: str, picture: Path
) -> None:
    cost = LinearCost()
    runs = [one.run for one in served]
    fcfs, vtc = outcomes = [outcome(run, cost, {}) for run in runs]
    show(answers_table(traffic, served), agreement(served))
    show(comparison(_columns(served, outcomes), SHORT))
    show(verdict(fcfs, vtc, steps(*runs)))
    heavy = heavy_tenants(traffic.trace.jobs, cost)
    draw(picture, runs, heavy=heavy, cost=cost, title=title)
    show(f"Picture: {picture}")


def _columns(served: tuple[Served, Served], outcomes: list[Outcome]) -> list[Column]:
    pairs = zip(served, outcomes, strict=True)
    return [Column(one.run.policy, one.run.totals, each) for one, each in pairs]
