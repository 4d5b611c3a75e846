"""Kernels in a loop, for tests of who is admitted: who entered, in which order."""

from collections.abc import Iterable

from fairq import LinearCost, Policy, RequestId, StepPlan
from tests.kernel.driving import Loop, capacity

ONE_BLOCK = LinearCost(prompt=0.0, output=1.0)
"""Prompts are free, so that turns change only when tokens come."""


def loop(policy: Policy, *, sequences: int = 1, **sizes: int) -> Loop:
    """By default one request at a time, so that who enters is who goes first."""
    return Loop(capacity(sequences=sequences, prefix_cache=True, **sizes), policy)


def entered(plan: StepPlan) -> list[RequestId]:
    return [enter.request_id for enter in plan.enter]


def order_of(made: Loop) -> list[RequestId]:
    """Run it to the end; who entered, in order."""
    found: list[RequestId] = []
    while made.live:
        found += entered(made.step())
    return found


def text(*words: int) -> Iterable[int]:
    """Each word is a block of four equal tokens; a token more ends the text."""
    return [word for word in words for _ in range(4)] + [0]
