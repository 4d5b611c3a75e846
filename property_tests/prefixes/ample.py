"""Kernels where only one thing keeps a waiting request out: that its prefix is coming.

Blocks, slots and budget are there for everybody and any tenant may go ahead, so each
plan takes all that wait but those that are held back.
"""

from collections.abc import Sequence
from itertools import takewhile

import attrs
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Enter,
    Fcfs,
    Kernel,
    Lpm,
    Order,
    Policy,
    PrefixCache,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    Vtc,
)
from property_tests.prefixes.memory import domain_of
from property_tests.prefixes.programs import Ask
from property_tests.programs import sampled

SIZE = 2
PATIENT = 10**6


@st.composite
def kernels(draw: st.DrawFn, waits: st.SearchStrategy[int]) -> Policy:
    """A policy that lets everybody in."""
    order = draw(st.sampled_from(Order))
    disciplines: list[Discipline] = [Lpm(), Vtc(slack=1e9)]
    # In any other order only the first tenant may go ahead.
    disciplines += [Fcfs()] if order is Order.FIFO else []
    return Policy(
        discipline=draw(st.sampled_from(disciplines)),
        order=order,
        admission=Admission.RESERVE,
        prefix_cache=PrefixCache(everybody=draw(st.booleans()), max_wait=draw(waits)),
        max_failures=PATIENT,
    )


@attrs.frozen
class Arrivals:
    """Who comes before a plan, and whether its step fails."""

    asks: Sequence[Ask]
    fails: bool


asks = st.builds(
    Ask,
    tenant=st.sampled_from(["a", "b", "c"]),
    stem=st.sampled_from([1, 1, 2]),
    stem_length=st.integers(1, 7),
    tail=st.lists(st.sampled_from([1, 2]), max_size=3).map(tuple),
    max_tokens=st.integers(1, 3),
)
waves = st.lists(
    st.builds(Arrivals, st.lists(asks, max_size=5), st.booleans()),
    min_size=1,
    max_size=10,
)


@attrs.define
class Waiter:
    """One that waits, and how often it was left behind."""

    request: Request
    passed: int = 0
    expects: int = 0
    """Tokens that are in the cache when the step that computes them is done."""


class Ample:
    """Drives such a kernel, and knows who was held back and for whom."""

    def __init__(self, policy: Policy) -> None:
        capacity = Capacity(
            blocks=1_000,
            block_size=SIZE,
            max_sequences=500,
            tokens_per_step=5_000,
            prefix_cache=True,
        )
        assert policy.prefix_cache is not None
        self.cache = policy.prefix_cache
        self.kernel = Kernel(capacity, policy)
        self.waiting: dict[RequestId, Waiter] = {}
        self.held = 0
        """How often somebody was held back, all together."""
        self.longest = 0
        """Most plans in which one request was."""

    def play(self, waves: Sequence[Arrivals]) -> "Ample":
        """Let them come, a plan after each wave, and go on until nobody waits."""
        for wave in waves:
            for ask in wave.asks:
                self.submit(ask)
            self.step(fails=wave.fails)
        while self.waiting:
            self.step(fails=False)
        return self

    def submit(self, ask: Ask) -> None:
        request = ask.request()
        self.waiting[self.kernel.submit(request)] = Waiter(request)

    def step(self, *, fails: bool) -> StepPlan | None:
        """One plan: who was left behind was held back for one of those who entered."""
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            assert not self.waiting
            return None
        self.kernel.check()
        for enter in plan.enter:
            waiter = self.waiting[enter.request_id]
            # What it was held back for it finds, unless that failed.
            assert waiter.expects <= enter.cached
        entered = {enter.request_id for enter in plan.enter}
        for id_, waiter in self.waiting.items():
            if id_ not in entered:
                self._held_back(waiter, plan.enter, fails=fails)
        self._answer(plan, entered, fails=fails)
        return plan

    def _held_back(
        self, waiter: Waiter, enters: Sequence[Enter], *, fails: bool
    ) -> None:
        waiter.passed += 1
        self.held += 1
        self.longest = max(self.longest, waiter.passed)
        assert waiter.passed <= self.cache.max_wait
        shared = [self._coming(waiter, enter) for enter in enters]
        # Several may compute it, those who have waited too long; one of them for it.
        coming = min(filter(None, shared), default=0)
        assert coming > 0
        waiter.expects = waiter.expects if fails else max(waiter.expects, coming)

    def _coming(self, waiter: Waiter, enter: Enter) -> int:
        """Tokens of a waiting request that one who enters computes: 0 for none."""
        other = self._request(enter)
        if domain_of(self.cache, other) != domain_of(self.cache, waiter.request):
            return 0
        pairs = zip(waiter.request.prompt, enter.tokens, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        most = min(same, len(waiter.request.prompt) - 1) // SIZE * SIZE
        return most if most > enter.cached else 0

    def _request(self, enter: Enter) -> Request:
        return self.waiting[enter.request_id].request

    def _answer(self, plan: StepPlan, entered: set[RequestId], *, fails: bool) -> None:
        if fails:
            self.kernel.fail(plan.step_id)
            return
        tokens = dict.fromkeys(sampled(plan), 1)
        self.kernel.commit(StepResult(plan.step_id, tokens))
        for id_ in entered:
            del self.waiting[id_]
