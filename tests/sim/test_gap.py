"""The gap meter, against a slow and obvious one that looks at every pair each step."""

import random  # noqa: TID251  # seeded: random.Random(seed)
from collections.abc import Iterator
from itertools import combinations

import pytest

from fairq.backend import Capacity
from fairq.cost import SCALE, LinearCost, price
from fairq.disciplines import Fcfs, Lpm, Vtc
from fairq.events import NO_EVENTS, Events, Finished, FinishReason, Share
from fairq.kernel import Kernel
from fairq.order import Order
from fairq.plan import BlockId, Chunk, DecodeSet, Enter, StepId, StepPlan, StepResult
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache
from fairq.request import Request, RequestId
from fairq.sim._gap import GapMeter, Pace
from fairq.tokens import TokenIds


class NaiveMeter:
    """Counts every token and compares every pair after every step."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.tenant: dict[RequestId, str] = {}
        self.prompt: dict[RequestId, int] = {}
        self.computed: dict[RequestId, int] = {}
        self.waiting: dict[RequestId, None] = {}
        self.work: dict[str, int] = {}
        self.spans: dict[tuple[str, str], tuple[int, int]] = {}
        self.largest = 0

    def arrived(self, request_id: RequestId, tenant: str, prompt: int) -> None:
        self.tenant[request_id] = tenant
        self.prompt[request_id] = prompt
        self.computed[request_id] = 0
        self.waiting[request_id] = None
        self.work.setdefault(tenant, 0)
        self.look()

    def committed(self, plan: StepPlan, events: Events) -> None:
        for enter in plan.enter:
            del self.waiting[enter.request_id]
            self.find(enter.request_id, enter.cached)
        for request_id in plan.decodes:
            self.charge(request_id, 0, 1)
        for chunk in plan.chunks:
            end = min(chunk.start + chunk.length, self.prompt[chunk.request_id])
            fresh = max(0, end - self.computed[chunk.request_id])
            self.computed[chunk.request_id] += fresh
            self.charge(chunk.request_id, fresh, int(chunk.samples))
        for share in events.shares:
            self.charge(share.payer, -share.tokens, 0)
            self.charge(share.member, share.tokens, 0)
        self.look()
        self.waiting.update(dict.fromkeys(events.preempted))
        self.end(events)

    def failed(self, events: Events) -> None:
        self.waiting.update(dict.fromkeys(events.preempted))
        self.end(events)

    def end(self, events: Events) -> None:
        for finished in events.finished:
            self.waiting.pop(finished.request_id, None)
        self.look()

    def find(self, request_id: RequestId, cached: int) -> None:
        fresh = min(cached, self.prompt[request_id]) - self.computed[request_id]
        if fresh > 0:
            tenant = self.tenant[request_id]
            found = price(self.policy.cost.cached, self.policy.weight(tenant))
            self.work[tenant] += fresh * found
            self.computed[request_id] += fresh

    def charge(self, request_id: RequestId, prompt: int, output: int) -> None:
        tenant, cost = self.tenant[request_id], self.policy.cost
        weight = self.policy.weight(tenant)
        self.work[tenant] += prompt * price(cost.prompt, weight)
        self.work[tenant] += output * price(cost.output, weight)

    def look(self) -> None:
        backlog = sorted({self.tenant[request_id] for request_id in self.waiting})
        pairs = list(combinations(backlog, 2))
        self.spans = {pair: self.span(pair) for pair in pairs}
        gaps = (high - low for low, high in self.spans.values())
        self.largest = max(self.largest, *gaps, 0)

    def span(self, pair: tuple[str, str]) -> tuple[int, int]:
        now = self.work[pair[0]] - self.work[pair[1]]
        low, high = self.spans.get(pair, (now, now))
        return min(low, now), max(high, now)

    def largest_gap(self) -> float:
        return self.largest / SCALE


class Driver:
    """A kernel under random load, watched by both meters."""

    def __init__(self, seed: int, policy: Policy) -> None:
        self.random = random.Random(seed)  # noqa: S311  # a test, no secret
        self.kernel = Kernel(
            Capacity(
                blocks=24,
                block_size=4,
                max_sequences=6,
                prefix_cache=policy.prefix_cache is not None,
            ),
            policy,
        )
        self.meters = (GapMeter(policy), NaiveMeter(policy))

    def arrive(self) -> None:
        tenant = self.random.choice("aaabbcde")
        # One of two texts, which the requests read to different lengths.
        prompt = TokenIds([self.random.randint(0, 1)] * self.random.randint(1, 40))
        request = Request(
            tenant=tenant, prompt=prompt, max_tokens=self.random.randint(1, 30)
        )
        request_id = self.kernel.submit(request)
        for meter in self.meters:
            meter.arrived(request_id, tenant, len(prompt))

    def step(self) -> Events:
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return NO_EVENTS
        while self.random.random() < 0.1:
            self.arrive()
        if self.random.random() < 0.1:
            events = self.kernel.fail(plan.step_id)
            for meter in self.meters:
                meter.failed(events)
            return events
        return self.commit(plan)

    def commit(self, plan: StepPlan) -> Events:
        decodes = tuple(plan.decodes)
        sampling = [chunk.request_id for chunk in plan.chunks if chunk.samples]
        tokens = dict.fromkeys([*decodes, *sampling], 1)
        stopped = tuple(name for name in tokens if self.random.random() < 0.02)
        frozen = DecodeSet(dict.fromkeys(decodes, 0))
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        for meter in self.meters:
            meter.committed(
                StepPlan(
                    step_id=plan.step_id,
                    leave=plan.leave,
                    grow=plan.grow,
                    enter=plan.enter,
                    chunks=plan.chunks,
                    decodes=frozen,
                ),
                events,
            )
        return events

    def run(self, steps: int) -> Iterator[Events]:
        for _ in range(steps):
            if self.random.random() < 0.4:
                self.arrive()
            yield self.step()
        while self.kernel.snapshot().requests:
            yield self.step()


EVERYBODY = PrefixCache(everybody=True)

POLICIES = [
    Policy(discipline=Fcfs(), token_budget=16, prefix_cache=None),
    Policy(discipline=Vtc(), token_budget=16, max_failures=0),
    Policy(discipline=Vtc(slack=30), weights={"a": 3.0, "c": 0.3}, token_budget=16),
    Policy(
        admission=Admission.RESERVE,
        cost=LinearCost(prompt=0, output=1.0),
        prefix_cache=None,
    ),
    Policy(
        token_budget=16,
        cost=LinearCost(cached=0.5),
        weights={"a": 3.0},
        order=Order.PREFIX,
        prefix_cache=EVERYBODY,
    ),
    Policy(discipline=Lpm(), order=Order.PREFIX, prefix_cache=EVERYBODY),
]


@pytest.mark.parametrize("policy", POLICIES, ids=range(len(POLICIES)))
@pytest.mark.parametrize("seed", range(6))
def test_the_meter_finds_what_looking_at_every_pair_finds(
    seed: int, policy: Policy
) -> None:
    driver = Driver(seed, policy)
    fast, slow = driver.meters
    for number, _ in enumerate(driver.run(steps=100)):
        if number % 50 == 0:
            assert slow.largest_gap() == fast.largest_gap()
    assert slow.largest_gap() == fast.largest_gap()
    assert fast.largest_gap() > 0


def test_the_random_runs_meet_preemptions_and_requests_given_up() -> None:
    seen: list[FinishReason | str] = []
    for policy in POLICIES[:2]:
        for events in Driver(1, policy).run(steps=150):
            seen += [f.reason for f in events.finished]
            seen += ["preempted" for _ in events.preempted]
    assert {"preempted", *FinishReason} - {FinishReason.CANCELLED} == set(seen)


def test_the_random_runs_find_prefixes_and_share_their_charge() -> None:
    for policy in POLICIES[4:]:
        driver = Driver(1, policy)
        shared = sum(len(events.shares) for events in driver.run(steps=300))
        assert shared > 0
        assert driver.kernel.snapshot().cached_tokens > 0


def test_the_meter_forgets_who_has_nothing_left() -> None:
    driver = Driver(2, POLICIES[1])
    for _ in driver.run(steps=50):
        pass
    meter = driver.meters[0]
    assert isinstance(meter, GapMeter)
    assert (0, 0, 0) == (len(meter._flights), len(meter._paces), len(meter._backlog))


class CountingMeter(GapMeter):
    """Counts how often a tenant is compared with the others."""

    compared = 0

    def _compare(self, pace: Pace) -> None:
        self.compared += 1
        super()._compare(pace)


def test_steps_in_which_everybody_only_decodes_compare_nobody() -> None:
    meter = CountingMeter(Policy())
    for request_id in range(40):
        meter.arrived(RequestId(request_id), f"tenant {request_id % 20}", 4)
    chunks = tuple(Chunk(RequestId(i), 0, 4, samples=True) for i in range(20))
    meter.committed(plan(0, tuple(enter(i, 4) for i in range(20)), chunks), NO_EVENTS)
    meter.compared = 0
    for step in range(1, 50):
        meter.committed(plan(step), NO_EVENTS)
    assert meter.compared == 0
    assert meter.largest_gap() == 0.0


def enter(request_id: int, prompt: int, cached: int = 0) -> Enter:
    return Enter(
        request_id=RequestId(request_id),
        slot=request_id,
        tokens=TokenIds([0] * prompt),
        prompt_length=prompt,
        blocks=(BlockId(request_id),),
        cached=cached,
        sampling=None,
    )


def plan(
    step: int, enters: tuple[Enter, ...] = (), chunks: tuple[Chunk, ...] = ()
) -> StepPlan:
    return StepPlan(
        step_id=StepId(step),
        leave=(),
        grow=(),
        enter=enters,
        chunks=chunks,
        decodes=DecodeSet({}),
    )


def test_a_gap_is_per_unit_of_weight_and_counts_while_both_wait() -> None:
    meter = GapMeter(Policy(weights={"a": 2.0}, cost=LinearCost(prompt=1, output=3)))
    for request_id, tenant in enumerate("aab"):
        meter.arrived(RequestId(request_id), tenant, 10)
    meter.committed(
        plan(0, (enter(0, 10),), (Chunk(RequestId(0), 0, 10, samples=True),)), NO_EVENTS
    )
    assert meter.largest_gap() == (10 + 3) / 2
    meter.committed(plan(1), NO_EVENTS)
    assert meter.largest_gap() == (10 + 3 + 3) / 2


def test_the_step_that_admits_the_last_request_of_a_tenant_does_not_count() -> None:
    """The gate lets others past it, since in a plan it does not wait any more."""
    meter = GapMeter(Policy())
    meter.arrived(RequestId(0), "a", 5)
    meter.arrived(RequestId(1), "b", 5)
    first = Chunk(RequestId(0), 0, 5, samples=True)
    meter.committed(plan(0, (enter(0, 5),), (first,)), NO_EVENTS)
    meter.committed(plan(1), NO_EVENTS)
    assert meter.largest_gap() == 0.0


def test_a_gap_that_peaks_after_a_chunk_is_seen_though_nothing_follows_it() -> None:
    meter = GapMeter(Policy())
    for request_id, tenant in enumerate("abab"):
        meter.arrived(RequestId(request_id), tenant, 100)
    chunks = (Chunk(RequestId(1), 0, 4, samples=True),)
    meter.committed(plan(0, (enter(1, 4),), chunks), NO_EVENTS)
    chunks = (Chunk(RequestId(0), 0, 90, samples=False),)
    meter.committed(plan(1, (enter(0, 100),), chunks), NO_EVENTS)
    for step in range(2, 12):
        meter.committed(plan(step), NO_EVENTS)
    # From b ahead by 4 + 2 to a ahead by 90 - 8; then b decodes and catches up.
    assert meter.largest_gap() == 6.0 + 82.0


def test_who_is_given_up_was_in_the_backlog_until_then() -> None:
    meter = GapMeter(Policy())
    for request_id, tenant in enumerate("abb"):
        meter.arrived(RequestId(request_id), tenant, 3)
    chunks = (Chunk(RequestId(1), 0, 3, samples=True),)
    meter.committed(plan(0, (enter(1, 3),), chunks), NO_EVENTS)
    for step in range(1, 5):
        meter.committed(plan(step), NO_EVENTS)
    given_up = Finished(RequestId(0), FinishReason.FAILED, 0)
    meter.failed(Events(finished=(given_up,)))
    for step in range(5, 9):
        meter.committed(plan(step), NO_EVENTS)
    assert meter.largest_gap() == 3.0 + 5 * 2.0


def test_positions_computed_again_are_no_service() -> None:
    meter = GapMeter(Policy())
    for request_id, tenant in enumerate("aab"):
        meter.arrived(RequestId(request_id), tenant, 8)
    whole = (Chunk(RequestId(0), 0, 8, samples=True),)
    meter.committed(plan(0, (enter(0, 8),), whole), NO_EVENTS)
    meter.committed(plan(1), Events(preempted=(RequestId(0),)))
    meter.committed(plan(2, (enter(0, 8),), whole), NO_EVENTS)
    # 8 positions once, and three tokens: of step 0, 1 and 2.
    assert meter.largest_gap() == 8.0 + 3 * 2.0


def test_two_that_are_served_alike_have_no_gap_but_that_of_a_step() -> None:
    meter = GapMeter(Policy())
    for request_id, tenant in enumerate("abab"):
        meter.arrived(RequestId(request_id), tenant, 4)
    chunks = tuple(Chunk(RequestId(i), 0, 4, samples=True) for i in (0, 1))
    meter.committed(plan(0, (enter(0, 4), enter(1, 4)), chunks), NO_EVENTS)
    ends = tuple(Finished(RequestId(i), FinishReason.LENGTH, 9) for i in (0, 1))
    meter.committed(plan(1), Events(finished=ends))
    assert meter.largest_gap() == 0.0


def test_a_position_that_is_found_has_a_price_of_its_own_and_only_once() -> None:
    meter = GapMeter(Policy(cost=LinearCost(prompt=4, cached=1)))
    for request_id, tenant in enumerate("aab"):
        meter.arrived(RequestId(request_id), tenant, 10)
    rest = (Chunk(RequestId(0), 8, 2, samples=True),)
    meter.committed(plan(0, (enter(0, 10, cached=8),), rest), NO_EVENTS)
    assert meter.largest_gap() == 8 * 1 + 2 * 4 + 2
    meter.committed(plan(1), Events(preempted=(RequestId(0),)))
    again = (Chunk(RequestId(0), 4, 7, samples=True),)
    meter.committed(plan(2, (enter(0, 11, cached=4),), again), NO_EVENTS)
    assert meter.largest_gap() == 8 * 1 + 2 * 4 + 3 * 2


def test_cached_outputs_are_no_prompt() -> None:
    meter = GapMeter(Policy(cost=LinearCost(cached=1)))
    for request_id, tenant in enumerate("aab"):
        meter.arrived(RequestId(request_id), tenant, 4)
    rest = (Chunk(RequestId(0), 8, 1, samples=True),)
    meter.committed(plan(0, (enter(0, 9, cached=8),), rest), NO_EVENTS)
    assert meter.largest_gap() == 4 + 2


def test_a_share_moves_work_from_the_payer_to_the_member() -> None:
    policy = Policy(weights={"a": 2.0}, cost=LinearCost(cached=0))
    meter = GapMeter(policy)
    for request_id, tenant in enumerate("aabb"):
        meter.arrived(RequestId(request_id), tenant, 40)
    computed = (Chunk(RequestId(0), 0, 32, samples=False),)
    meter.committed(plan(0, (enter(0, 40),), computed), NO_EVENTS)
    assert meter.largest_gap() == 16.0
    shares = (Share(RequestId(0), RequestId(2), 12),)
    both = (
        Chunk(RequestId(0), 32, 8, samples=False),
        Chunk(RequestId(2), 32, 4, samples=False),
    )
    entered = (enter(2, 40, cached=32),)
    meter.committed(plan(1, entered, both), Events(shares=shares))
    # a has (32 - 12 + 8) / 2, b has 12 + 4: b is ahead by 2, after 16 behind.
    assert meter.largest_gap() == 16.0 + 2.0
