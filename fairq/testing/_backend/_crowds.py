"""Generated runs: requests come, end, are cancelled and preempted; steps fail.

The last trial. It finds what needs several things at once, and shrinks it.
"""

from itertools import chain, islice
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from fairq.backend import Capacity
from fairq.disciplines import Fcfs, Vtc
from fairq.plan import StepPlan
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache
from fairq.request import Request, RequestId
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench, Key, key_of, length_of
from fairq.testing._backend._show import PATIENT, Show, one_token
from fairq.testing._obligations import Obligation, raised
from fairq.testing._search import quiet
from fairq.testing._strategies import requests

MOST_SLOTS: Final = 6
DRAWS: Final = 8
SAMPLES: Final = 24
"""Different requests that the trials make do with."""
CACHES: Final = (
    *(None, PrefixCache(everybody=True), PrefixCache()),
    PrefixCache(everybody=True, max_wait=0),
)
"""Who shares; the first is what others shrink to."""


@attrs.frozen
class Visit:
    """A request, some steps after the one before, and when it is given up."""

    request: Request
    after: int
    cancelled_after: int | None
    kin: int = 0
    """Tokens that its prompt begins with as the request before it, with what that has
    said so far, begins too; at most its whole prompt."""


@attrs.frozen
class Crowd:
    """One run."""

    visits: tuple[Visit, ...]
    policy: Policy
    spare: int
    """Blocks beyond what the largest request can need."""
    modest: bool
    """Whether everybody is expected to say little, and so too many are let in."""
    mirrored: bool
    faults: tuple[bool, ...]
    """Which plans fail once, over and over; empty for none."""


def visits(
    strategy: st.SearchStrategy[Request], capacity: Capacity
) -> st.SearchStrategy[Visit]:
    """Visits of such requests."""
    size = capacity.block_size
    alike = st.integers(size, 2 * size + 2)
    return st.builds(
        Visit,
        request=strategy,
        after=st.sampled_from([0, 0, 1, 3]),
        cancelled_after=st.one_of(st.none(), st.none(), st.integers(0, 8)),
        kin=st.one_of(st.just(0), alike) if capacity.prefix_cache else st.just(0),
    )


def policies(capacity: Capacity) -> st.SearchStrategy[Policy]:
    """Policies that leave little room."""
    slots = min(capacity.max_sequences, MOST_SLOTS)
    budgets = st.integers(
        min(2, capacity.tokens_per_step),
        min(capacity.tokens_per_step, 2 * capacity.block_size + 2),
    )
    return st.builds(
        Policy,
        max_sequences=st.integers(1, slots).map(lambda fewer: slots + 1 - fewer),
        token_budget=st.one_of(st.none(), budgets),
        admission=st.sampled_from([Admission.OPTIMISTIC, *Admission]),
        discipline=st.sampled_from([Vtc(), Vtc(slack=64.0), Fcfs()]),
        prefix_cache=st.sampled_from(CACHES if capacity.prefix_cache else CACHES[:1]),
        max_failures=st.just(PATIENT),
    )


def crowds(bench: Bench, asked: st.SearchStrategy[Request]) -> st.SearchStrategy[Crowd]:
    """Runs on a backend."""
    fits = asked.filter(lambda each: bench.worst(each) <= bench.capacity.blocks)
    faults = (
        st.just(()) if bench.provoke is None else st.lists(st.booleans()).map(tuple)
    )
    return st.builds(
        Crowd,
        visits=st.lists(visits(fits, bench.capacity), min_size=2, max_size=10).map(
            tuple
        ),
        policy=policies(bench.capacity),
        spare=st.integers(0, 4),
        modest=st.sampled_from([True, True, False]),
        mirrored=st.booleans(),
        faults=faults,
    )


class Play:
    """A crowd on its way through a backend."""

    def __init__(self, crowd: Crowd, show: Show) -> None:
        self._crowd = crowd
        self._show = show
        self._before: RequestId | None = None
        self._cancels: dict[int, list[RequestId]] = {}
        self._steps = 0

    def run(self) -> None:
        """Let everybody come, and go on until all is over."""
        if self._crowd.modest:
            self._show.play([one_token(self._crowd.visits[0].request)])
        for visit in self._crowd.visits:
            for _ in range(visit.after):
                self._step()
            id_ = self._submit(visit)
            if visit.cancelled_after is not None:
                due = self._steps + visit.cancelled_after
                self._cancels.setdefault(due, []).append(id_)
        while self._step():
            pass

    def _submit(self, visit: Visit) -> RequestId:
        request, before = visit.request, self._before
        if before is not None and visit.kin:
            said = (*self._show.requests[before].prompt, *self._show.tokens[before])
            alike = said[: min(visit.kin, len(request.prompt))]
            prompt = (*alike, *request.prompt[len(alike) :])
            request = attrs.evolve(request, prompt=prompt)
        (self._before,) = ids = self._show.submit(request)
        return ids[0]

    def _step(self) -> bool:
        plan = self._show.plan()
        if plan is None:
            return False
        for id_ in self._cancels.pop(self._steps, ()):
            self._show.cancel(id_)
        self._steps += 1
        if self._fails(plan):
            self._show.fail(plan)
        else:
            self._show.execute(plan)
        return True

    def _fails(self, plan: StepPlan) -> bool:
        # Not all of them, or nothing would ever end.
        faults = (*self._crowd.faults, False)
        return faults[plan.step_id % len(faults)]


def _blame(crowd: Crowd) -> Obligation:
    """What is broken when it goes wrong; what need not be there was shrunk away."""
    if any(crowd.faults):
        return owed.FAILED
    return owed.BATCHED if crowd.policy.prefix_cache is None else owed.SHARED


def crowded(bench: Bench, asked: st.SearchStrategy[Request], examples: int) -> None:
    """Generated runs; the smallest that goes wrong is raised."""

    @quiet(examples)
    @given(crowd=crowds(bench, asked))
    def run(crowd: Crowd) -> None:
        room = bench.room(each.request for each in crowd.visits)
        capacity = bench.limited(room + crowd.spare)
        with Show(
            bench,
            _blame(crowd),
            crowd.policy,
            capacity=capacity,
            mirrored=crowd.mirrored,
        ) as show:
            Play(crowd, show).run()
            show.check()

    try:
        run()
    except Flaky as error:
        expected = "a run that goes wrong goes wrong again"
        try:
            owed.REPEATED.broken(bench.who, expected, raised(error))
        except AssertionError as broken:
            raise broken from error


def samples(bench: Bench, asked: st.SearchStrategy[Request]) -> tuple[Request, ...]:
    """Some different requests that fit, for the trials that set up a situation."""
    found: dict[Key, Request] = {}

    @quiet(DRAWS)
    @given(batch=st.lists(asked, min_size=6, max_size=12))
    def collect(batch: list[Request]) -> None:
        for request in batch:
            if bench.worst(request) <= bench.capacity.blocks:
                found.setdefault(key_of(request), request)

    collect()
    ranked = sorted(found.values(), key=length_of)
    count = min(SAMPLES, len(ranked))
    spread = [ranked[place * len(ranked) // count] for place in range(count)]
    # Short and long in turn: the first few are a crowd of every kind.
    pairs = zip(spread, reversed(spread), strict=True)
    return tuple(islice(chain.from_iterable(pairs), count))


def usual_requests(capacity: Capacity) -> st.SearchStrategy[Request]:
    """Prompts and outputs of some blocks, as far as the pool has so many."""
    size, positions = capacity.block_size, capacity.blocks * capacity.block_size
    prompt = max(1, min(2 * size + 2, positions // 2))
    output = max(1, min(2 * size + 3, size + 8, positions - prompt + 1))
    return requests(max_prompt=prompt, max_tokens=output, vocabulary=32)
