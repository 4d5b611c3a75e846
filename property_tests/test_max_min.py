"""Fair shares are what their definition says, and what the kernel gives over a run.

The oracle fills by hand: it raises the water from one demand that is met to the next.
"""

import math
from fractions import Fraction

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Fcfs,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    StepResult,
    Vtc,
)
from fairq.testing import max_min
from property_tests.effort import part
from property_tests.programs import sampled

Shares = dict[str, Fraction]
NAMES = "abcdef"

amounts = st.one_of(
    st.integers(0, 40),
    st.fractions(0, 40, max_denominator=12),
    st.floats(0, 40, allow_subnormal=False),
)
demands = st.dictionaries(
    st.sampled_from(NAMES), amounts | st.just(math.inf), min_size=1
)
weights = st.dictionaries(
    st.sampled_from(NAMES), st.fractions("1/4", 8, max_denominator=6)
)
capacities = amounts


def by_hand(wanted: dict[str, Fraction], capacity: Fraction, weights: Shares) -> Shares:
    """Raise everybody who is thirsty together, until the next one is not."""
    shares = dict.fromkeys(wanted, Fraction(0))
    while capacity:
        thirsty = [name for name in wanted if shares[name] < wanted[name]]
        if not thirsty:
            break
        weight = sum((weights.get(name, Fraction(1)) for name in thirsty), Fraction(0))
        rise = min(
            capacity / weight,
            *(
                (wanted[name] - shares[name]) / weights.get(name, Fraction(1))
                for name in thirsty
            ),
        )
        for name in thirsty:
            shares[name] += rise * weights.get(name, Fraction(1))
        capacity -= rise * weight
    return shares


def finite(
    demands: dict[str, Fraction | float], capacity: Fraction | float
) -> dict[str, Fraction]:
    """Nobody can get more than there is: so much is as good as no end."""
    most = Fraction(capacity) + 1
    return {
        name: most if demand == math.inf else Fraction(demand)
        for name, demand in demands.items()
    }


@given(demands=demands, capacity=capacities, weights=weights)
def test_shares_are_those_of_filling_by_hand(
    demands: dict[str, Fraction | float], capacity: Fraction | float, weights: Shares
) -> None:
    expected = by_hand(finite(demands, capacity), Fraction(capacity), weights)

    assert expected == max_min(demands, capacity, weights)


@given(demands=demands, capacity=capacities, weights=weights)
def test_nobody_gets_more_than_it_wants_and_nothing_is_left_that_is_wanted(
    demands: dict[str, Fraction | float], capacity: Fraction | float, weights: Shares
) -> None:
    shares = max_min(demands, capacity, weights)

    assert list(demands) == list(shares)
    assert all(0 <= shares[name] <= demands[name] for name in demands)
    wanted = sum(finite(demands, capacity).values(), Fraction(0))
    assert min(Fraction(capacity), wanted) == sum(shares.values(), Fraction(0))


@given(demands=demands, capacity=capacities, weights=weights)
def test_whoever_wants_more_is_no_poorer_than_anybody(
    demands: dict[str, Fraction | float], capacity: Fraction | float, weights: Shares
) -> None:
    """The definition: more for it would have to come from one that has less."""
    shares = max_min(demands, capacity, weights)
    level = {name: shares[name] / weights.get(name, 1) for name in shares}

    for name, share in shares.items():
        if share < demands[name]:
            assert max(level.values()) == level[name]


@given(demands=demands, capacity=capacities, weights=weights, more=st.fractions(0, 9))
def test_more_capacity_takes_from_nobody(
    demands: dict[str, Fraction | float],
    capacity: Fraction | float,
    weights: Shares,
    more: Fraction,
) -> None:
    before = max_min(demands, capacity, weights)
    after = max_min(demands, Fraction(capacity) + more, weights)

    assert all(before[name] <= after[name] for name in demands)


@given(demands=demands, capacity=capacities, weights=weights, data=st.data())
def test_wanting_more_gets_no_less_and_gives_nobody_more(
    demands: dict[str, Fraction | float],
    capacity: Fraction | float,
    weights: Shares,
    data: st.DataObject,
) -> None:
    greedy = data.draw(st.sampled_from(sorted(demands)))
    before = max_min(demands, capacity, weights)
    after = max_min({**demands, greedy: demands[greedy] + 1}, capacity, weights)

    assert before[greedy] <= after[greedy]
    assert all(after[name] <= before[name] for name in demands if name != greedy)


@given(
    demands=demands,
    capacity=capacities,
    weights=weights,
    scale=st.fractions("1/9", 9, max_denominator=9),
)
def test_only_the_proportions_of_weights_matter(
    demands: dict[str, Fraction | float],
    capacity: Fraction | float,
    weights: Shares,
    scale: Fraction,
) -> None:
    scaled = {name: scale * weights.get(name, Fraction(1)) for name in demands}

    assert max_min(demands, capacity, weights) == max_min(demands, capacity, scaled)


# --- the kernel ---------------------------------------------------------------------


@attrs.frozen
class Offer:
    """All that a tenant will ever ask for, there from the beginning."""

    count: int
    prompt: int
    max_tokens: int

    @property
    def service(self) -> int:
        return self.count * (self.prompt + 2 * self.max_tokens)


offers = st.builds(
    Offer, st.integers(1, 30), prompt=st.integers(1, 8), max_tokens=st.integers(1, 8)
)
loads = st.dictionaries(st.sampled_from("abcd"), offers, min_size=2)
kernel_weights = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from([0.5, 1.0, 2.0, 3.0, 4.0])
)
SMALL = Capacity(blocks=40, block_size=2, max_sequences=4, tokens_per_step=8)


class Served:
    """A kernel with offers, and how much of them it has executed."""

    def __init__(self, load: dict[str, Offer], policy: Policy) -> None:
        self.load = load
        self.weights = dict(policy.weights)
        self.kernel = Kernel(SMALL, policy)
        self.tenants: dict[RequestId, str] = {}
        self.paid: dict[RequestId, int] = {}
        self.prompts: dict[RequestId, int] = {}
        self.service = dict.fromkeys(load, 0)
        for name, offer in load.items():
            request = Request(
                tenant=name, prompt=range(offer.prompt), max_tokens=offer.max_tokens
            )
            for _ in range(offer.count):
                id_ = self.kernel.submit(request)
                self.tenants[id_] = name
                self.prompts[id_] = offer.prompt

    def step(self) -> bool:
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return False
        for chunk in plan.chunks:
            id_, end = chunk.request_id, chunk.start + chunk.length
            paid = max(self.paid.get(id_, 0), min(end, self.prompts[id_]))
            self.service[self.tenants[id_]] += paid - self.paid.get(id_, 0)
            self.paid[id_] = paid
        tokens = dict.fromkeys(sampled(plan), 1)
        for id_ in tokens:
            self.service[self.tenants[id_]] += 2
        self.kernel.commit(StepResult(plan.step_id, tokens))
        return True

    def fair(self) -> Shares:
        """What so much service in all should have been for each."""
        wanted = {name: offer.service for name, offer in self.load.items()}
        return max_min(wanted, sum(self.service.values()), self.weights)

    def errors(self) -> Shares:
        """By tenant, how far it is from its fair share."""
        return {name: abs(self.service[name] - s) for name, s in self.fair().items()}

    def unfinished(self) -> int:
        """Service that tenants with nothing waiting will still get."""
        waiting = {t.tenant: t.waiting for t in self.kernel.snapshot().tenants}
        return sum(
            offer.service - self.service[name]
            for name, offer in self.load.items()
            if not waiting.get(name, 0)
        )


def allowed(served: Served, bound: float) -> dict[str, Fraction]:
    """How far from its fair share a tenant may be.

    Tenants that wait are within half the bound of each other, per unit of weight: they
    all started at 0. Those that do not wait lack at most what they still run.
    """
    half = Fraction(bound) / 2 * (1 + Fraction(1, 10**6))
    weights = {name: Fraction(served.weights.get(name, 1)) for name in served.load}
    rest = served.unfinished()
    return {name: half * weight + rest for name, weight in weights.items()}


@part(2)
@given(
    load=loads,
    weights=kernel_weights,
    slack=st.sampled_from([0.0, 5.0, 50.0]),
    admission=st.sampled_from(Admission),
)
def test_the_kernel_gives_fair_shares_within_its_bound(
    load: dict[str, Offer],
    weights: dict[str, float],
    slack: float,
    admission: Admission,
) -> None:
    policy = Policy(weights=weights, discipline=Vtc(slack), admission=admission)
    served = Served(load, policy)

    closest = Fraction(0)
    while served.step():
        bound = served.kernel.snapshot().gap_bound
        assert bound is not None
        limits = allowed(served, bound)
        for name, error in served.errors().items():
            assert error <= limits[name]
            closest = max(closest, error / limits[name] if limits[name] else closest)

    assert served.errors() == dict.fromkeys(load, 0)
    event(f"closest {float(closest):.1f} of what is allowed")


LOAD = {"a": Offer(400, 4, 4), "b": Offer(400, 4, 4), "c": Offer(3, 4, 4)}


def half_done(discipline: Discipline) -> Served:
    """Where things stand while a and b still have a lot to do."""
    served = Served(LOAD, Policy(weights={"a": 2.0}, discipline=discipline))
    for _ in range(400):
        served.step()
    return served


def test_first_come_first_served_is_far_from_fair_shares() -> None:
    fair, fcfs = half_done(Vtc()), half_done(Fcfs())
    bound = fair.kernel.snapshot().gap_bound
    assert bound is not None
    limit = max(allowed(fair, bound).values())

    assert max(fair.errors().values()) <= limit
    assert max(fcfs.errors().values()) > 5 * limit
