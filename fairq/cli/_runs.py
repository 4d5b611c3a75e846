"""Running a trace under several policies on the same simulated machine."""

from collections.abc import Mapping
from contextlib import closing

import attrs

from fairq.cli._machine import Machine
from fairq.cli._progress import Advance, bars
from fairq.policy import Policy
from fairq.sim import Run, Trace, simulate


def run_all(
    trace: Trace,
    machine: Machine,
    policies: Mapping[str, Policy],
    max_tokens: int | None = None,
) -> list[Run]:
    """One run for each policy, under its name, from a fresh machine, with a bar.

    Raises:
        UsageError: the preset is not known, or a weight names a tenant that is not
            in the trace.
    """
    with bars(len(trace.jobs)) as start:
        return [
            attrs.evolve(
                _run(trace, machine, policy, max_tokens, start(name)), policy=name
            )
            for name, policy in policies.items()
        ]


def _run(
    trace: Trace,
    machine: Machine,
    policy: Policy,
    max_tokens: int | None,
    advance: Advance,
) -> Run:
    with closing(machine.backend()) as backend:
        return simulate(trace, backend, policy, max_tokens=max_tokens, progress=advance)
