"""The trials that every backend goes through, the simple ones first.

Each sets up one situation, so that what fails says what is wrong. What they do not
think of is left to the generated runs of ``_crowds``.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice, product
from typing import Final

import attrs

from fairq.plan import StepPlan
from fairq.policy import Admission, Policy
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench
from fairq.testing._backend._show import (
    EASY,
    Show,
    alone_on,
    one_token,
    preemptions,
    refused,
)

RESERVE: Final = attrs.evolve(EASY, admission=Admission.RESERVE)
MANY_SLOTS: Final = 64
"""Most slots that are filled at once."""
LARGE_POOL: Final = 64
"""Most blocks that are filled at once."""
TIGHT: Final = 4
"""Pools in which requests are preempted, those with the most preemptions."""
LONG_RUNS: Final = (4, 16, 200)
"""Requests, one run after the other: the shortest that fails is shown."""


@attrs.frozen
class Tight:
    """A crowd, and a pool that may be too small for it."""

    crowd: tuple[Request, ...]
    blocks: int
    preemptions: int


def alone(bench: Bench) -> None:
    """One request at a time, each on a fresh backend; twice, if that says anything."""
    for request in bench.requests[:6]:
        alone_on(bench, request)
        if bench.deterministic:
            with Show(bench, owed.REPEATED) as show:
                show.play([request])
                show.check()


def chunked(bench: Bench) -> None:
    """A long prompt, in chunks of different lengths."""
    *_, long = sorted(bench.requests, key=lambda request: len(request.prompt))
    most = min(len(long.prompt) - 1, bench.capacity.tokens_per_step)
    if most < 1:
        bench.note("chunks: no request has a prompt of two tokens")
    for budget in dict.fromkeys(min(size, most) for size in (1, 2, 3, most) if most):
        policy = attrs.evolve(RESERVE, token_budget=budget)
        with Show(bench, owed.CHUNKED, policy) as show:
            show.play([long])
            show.check()


def batched(bench: Bench) -> None:
    """Several at once, in both orders, and with chunks of some beside decodes."""
    crowd = list(bench.requests[:8])
    mixed = attrs.evolve(RESERVE, token_budget=min(5, bench.capacity.tokens_per_step))
    if min(bench.capacity.max_sequences, bench.capacity.tokens_per_step) == 1:
        bench.note("batch: the capacity is for one sequence, or one position a step")
    for order, policy in ((crowd, RESERVE), (crowd[::-1], RESERVE), (crowd, mixed)):
        with Show(bench, owed.BATCHED, policy) as show:
            show.play(order)
            show.check()


def leave_first(bench: Bench) -> None:
    """One slot and few blocks, so that each enters where another leaves."""
    policy = attrs.evolve(EASY, max_sequences=1)
    crowd = bench.requests[:6]
    with Show(
        bench, owed.LEAVE_FIRST, policy, capacity=bench.limited(bench.room(crowd))
    ) as show:
        show.play([*crowd, *crowd])
        show.check()


def preempted(bench: Bench) -> None:
    """Pools that are too small for all who were let in."""
    tight = sorted(_tight(bench), key=lambda each: -each.preemptions)[:TIGHT]
    for each in tight:
        with Show(bench, owed.PREEMPTED, capacity=bench.limited(each.blocks)) as show:
            show.play([one_token(each.crowd[0])])
            show.play(each.crowd)
            show.check()
    if not tight or not tight[0].preemptions:
        bench.note("preempted: no request needs a block more while it decodes")


def _tight(bench: Bench) -> Iterator[Tight]:
    """Pools and crowds, with how many of them a kernel preempts."""
    growing = sorted(bench.requests, key=bench.growth, reverse=True)[:3]
    crowds = ((*growing[turn:], *growing[:turn], growing[0]) for turn in range(3))
    for crowd in crowds:
        room = bench.room(crowd)
        for blocks in range(room, min(2 * room, bench.capacity.blocks) + 1):
            yield Tight(crowd, blocks, preemptions(bench.limited(blocks), crowd))


def cancelled(bench: Bench) -> None:
    """Requests that are cancelled: in a step, between steps, waiting, in a prompt."""
    crowd = bench.long()[:5]
    hasty = attrs.evolve(EASY, token_budget=min(3, bench.capacity.tokens_per_step))
    for policy, chosen in product((EASY, hasty), range(len(crowd))):
        capacity = bench.limited(3 * bench.room(crowd))
        with Show(bench, owed.CANCELLED, policy, capacity=capacity) as show:
            ids = show.submit(*crowd)
            show.step()
            plan = show.plan()
            show.cancel(ids[chosen])
            if plan is not None:
                show.execute(plan)
            show.submit(*crowd[:2])
            show.cancel(ids[chosen - 1])
            show.finish()
            show.check()


def full(bench: Bench) -> None:
    """All slots at once, all blocks at once, and the top of both."""
    slots = min(bench.capacity.max_sequences, MANY_SLOTS)
    _fill(bench, list(islice(cycle(bench.short()), 2 * slots)))
    if bench.capacity.blocks <= LARGE_POOL:
        _fill(bench, list(islice(cycle(bench.long()), bench.capacity.blocks)))


def _fill(bench: Bench, crowd: list[Request]) -> None:
    with Show(bench, owed.FULL, mirrored=True) as show:
        show.play([one_token(crowd[0])])
        show.play(crowd)
        show.check()


def drained(bench: Bench) -> None:
    """Everything ends, and later something comes."""
    with Show(bench, owed.DRAINED) as show:
        for request in bench.requests[:4]:
            show.play([request])
            show.play([request, request])
        show.check()


def reused(bench: Bench) -> None:
    """Many requests through a small pool."""
    crowd = bench.short()[: max(4, len(bench.requests) // 2)]
    policy = attrs.evolve(EASY, max_sequences=min(3, bench.capacity.max_sequences))
    for count in LONG_RUNS:
        capacity = bench.limited(2 * bench.room(crowd))
        with Show(bench, owed.REUSED, policy, capacity=capacity) as show:
            show.play(islice(cycle(crowd), count))
            show.check()


def answered(bench: Bench) -> None:
    """Each result comes twice: at once, and while the next step runs."""
    with Show(bench, owed.ANSWERED, EASY) as show:
        show.submit(*bench.requests[:4])
        last = None
        while (plan := show.plan()) is not None:
            if last is not None and refused(show, last) is None:
                _twice(bench, last.step_id, f"while step {plan.step_id} runs")
            last = show.execute(plan)
            if refused(show, last) is None:
                _twice(bench, last.step_id, "a second time")
        show.check()


def _twice(bench: Bench, step: int, when: str) -> None:
    expected = f"the answer to step {step} is refused {when}"
    owed.ANSWERED.broken(bench.who, expected, "it was accepted")


def failed(bench: Bench) -> None:
    """Each step fails once, with the batch changing in between."""
    if bench.provoke is None:
        bench.note("failed: no step was made to fail; pass provoke")
        return
    fail_each(bench, bench.long()[:4], EASY)


def fail_each(bench: Bench, crowd: Sequence[Request], policy: Policy) -> None:
    """Let each step fail once; with cancels in between, and without."""
    capacity = bench.limited(2 * bench.room(crowd))
    for cancels in (False, True):
        with Show(bench, owed.FAILED, policy, capacity=capacity) as show:
            ids = show.submit(*crowd, *crowd[:2])
            while (plan := show.plan()) is not None:
                show.fail(plan)
                if cancels and plan.step_id % 6 == 2:  # noqa: PLR2004  # now and then
                    show.cancel(ids[plan.step_id % len(ids)])
                _repeat(show)
            show.check()


def _repeat(show: Show) -> None:
    plan: StepPlan | None = show.plan()
    if plan is not None:
        show.execute(plan)


def closed(bench: Bench) -> None:
    """Closed in the middle of things; before the first step it was done already."""
    with Show(bench, owed.CLOSED) as show:
        show.submit(*bench.requests[:3])
        show.step()
        show.examiner.close()


TRIALS: Final[tuple[Callable[[Bench], None], ...]] = (
    *(alone, closed, chunked, leave_first, batched, drained, preempted, cancelled),
    *(full, reused, answered, failed),
)
