"""Long random runs: what must hold in every step, whatever comes."""

from itertools import product
from random import Random  # noqa: TID251  # seeded: the history is part of the test

import attrs
import pytest

from fairq import (
    Admission,
    Discipline,
    Enter,
    Fcfs,
    FinishReason,
    Idle,
    Policy,
    RequestId,
    RequestRejected,
    StepPlan,
    Vtc,
)
from tests.kernel.driving import Loop, capacity

BUDGET, SEQUENCES = 24, 6
DISCIPLINES: dict[str, Discipline] = {
    "closed": Vtc(),
    "open": Vtc(slack=40),
    "fcfs": Fcfs(),
}
POLICIES = {
    f"{name}-{admission.value}": Policy(
        discipline=DISCIPLINES[name],
        admission=admission,
        weights={"b": 3.0, "c": 0.5},
        token_budget=BUDGET,
        max_sequences=SEQUENCES,
        max_waiting=40,
    )
    for name, admission in product(DISCIPLINES, Admission)
}


@attrs.define
class Run:
    """Random calls on one loop."""

    loop: Loop
    random: Random
    rejected: int = 0

    def one(self) -> None:
        """One call, or one step with what may happen in it."""
        draw = self.random.random()
        if draw < 0.4 or not self.loop.live:
            self.submit()
        elif draw < 0.5:
            self.loop.cancel(RequestId(self.random.randrange(200)))
        else:
            self.step()

    def submit(self) -> None:
        random = self.random
        length, most = random.randint(1, 60), random.randint(1, 30)
        try:
            self.loop.submit(random.choice("abcde"), length, most)
        except RequestRejected:
            self.rejected += 1

    def step(self) -> None:
        plan = self.loop.plan()
        self.within_limits(plan)
        if self.random.random() < 0.1:
            self.submit()
            self.loop.cancel(RequestId(self.random.randrange(200)))
        if self.random.random() < 0.05:
            self.loop.fail(plan)
        else:
            self.loop.answer(plan, stop=self.stops(plan))

    def stops(self, plan: StepPlan) -> list[RequestId]:
        return [id_ for id_ in plan.decodes if self.random.random() < 0.02]

    @staticmethod
    def within_limits(plan: StepPlan) -> None:
        sampled = len(plan.decodes) + len(plan.chunks)
        assert 0 < plan.tokens <= BUDGET, "a step is empty, or over its budget"
        assert sampled <= SEQUENCES


def run(name: str, seed: int, calls: int) -> Run:
    made = Run(
        Loop(capacity(blocks=30, sequences=8, tokens=32), POLICIES[name]),
        Random(seed),  # noqa: S311  # reproducible, and no secret
    )
    for _ in range(calls):
        made.one()
    while made.loop.live:
        made.step()
    return made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", POLICIES)
def test_no_step_is_empty_or_too_large_and_everybody_ends(name: str, seed: int) -> None:
    loop = run(name, seed, calls=600).loop
    assert loop.submitted == len(loop.finished)
    assert Idle.NO_WORK is loop.kernel.plan()
    snapshot = loop.kernel.snapshot()
    assert snapshot.blocks == snapshot.free_blocks
    assert snapshot.requests == ()


@pytest.mark.parametrize("name", POLICIES)
def test_tokens_are_delivered_once_and_in_order(name: str) -> None:
    loop = run(name, seed=11, calls=600).loop
    for request_id, tokens in loop.received.items():
        assert tokens == loop.witness.produced[request_id][: len(tokens)]
        if loop.finished[request_id] is not FinishReason.CANCELLED:
            assert loop.witness.produced[request_id] == tokens


def test_the_runs_reach_what_they_are_to_test() -> None:
    loops = [run(name, seed=3, calls=600) for name in POLICIES]
    assert sum(made.rejected for made in loops) > 100
    assert sum(len(made.loop.preempted) for made in loops) > 10
    reasons = {reason for made in loops for reason in made.loop.finished.values()}
    assert {
        FinishReason.LENGTH,
        FinishReason.STOP,
        FinishReason.CANCELLED,
    } <= reasons


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", POLICIES)
def test_what_is_executed_is_what_is_accounted(name: str, seed: int) -> None:
    """Every computed position is new prompt, new output, or a counted recompute."""
    loop = Loop(capacity(blocks=30, sequences=8, tokens=32), POLICIES[name])
    random = Random(seed)  # noqa: S311  # reproducible, and no secret
    for _ in range(30):
        loop.submit("abcde"[random.randrange(5)], random.randint(1, 60), 20)
    loop.run()
    inputs = sum(plan.tokens for plan in loop.plans)
    outputs = sum(map(len, loop.received.values()))
    prompts = sum(entry.prompt_length for entry in first_entries(loop))
    # The last token of each request is delivered and never fed back.
    recomputed = loop.kernel.snapshot().recomputed_tokens
    assert inputs == prompts + outputs - len(loop.finished) + recomputed


def first_entries(loop: Loop) -> list[Enter]:
    entries: dict[RequestId, Enter] = {}
    for plan in loop.plans:
        for entry in plan.enter:
            entries.setdefault(entry.request_id, entry)
    return list(entries.values())


def test_a_light_tenant_is_never_starved_by_floods() -> None:
    """However many arrive for others, each request of "light" is soon begun."""
    random = Random(5)  # noqa: S311  # reproducible, and no secret
    loop = Loop(capacity(blocks=60, sequences=6, tokens=32), check=False)
    waits = []
    for _ in range(60):
        for name in "abcd":
            loop.submit_many(random.randint(0, 6), name, random.randint(1, 60), 20)
        mine = loop.submit("light", 8, 4)
        begun = len(loop.plans)
        while mine not in loop.first_step:
            loop.step()
        waits.append(loop.first_step[mine] - begun)
    assert max(waits) <= 40
    assert loop.live > 100  # the others are far behind all the time


@pytest.mark.parametrize("slack", [0.0, 60.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_gap_of_backlogged_tenants_stays_below_the_bound(
    slack: float, seed: int
) -> None:
    random = Random(seed)  # noqa: S311  # reproducible, and no secret
    weights = {"a": 1.0, "b": 2.0, "c": 0.5}
    policy = Policy(discipline=Vtc(slack), weights=weights)
    loop = Loop(capacity(blocks=40, sequences=6, tokens=32), policy, check=False)
    for _ in range(80):
        for name in weights:
            loop.submit(name, random.randint(1, 60), random.randint(1, 30))
    lowest: dict[tuple[str, str], float] = {}
    largest = 0.0
    while backlogged(loop, weights):
        loop.step()
        served = {
            t.tenant: t.service / t.weight for t in loop.kernel.snapshot().tenants
        }
        for pair in product(weights, weights):
            difference = served[pair[0]] - served[pair[1]]
            lowest[pair] = min(lowest.get(pair, 0.0), difference)
            largest = max(largest, difference - lowest[pair])
    bound = loop.kernel.snapshot().gap_bound
    assert bound is not None
    assert 0 < largest <= bound


def backlogged(loop: Loop, names: dict[str, float]) -> bool:
    tenants = loop.kernel._life.counters.tenants
    return all(name in tenants and tenants[name].waiting for name in names)
