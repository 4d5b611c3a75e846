"""What is done to a kernel with a prefix cache, as plain data; settings where it bites.

Prompts begin with one of a few stems, so that many share something, and go on with few
different tokens, so that they part at every place.
"""

from collections.abc import Iterable

import attrs
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Dlpm,
    Fcfs,
    Kernel,
    LinearCost,
    Lpm,
    Order,
    Policy,
    PrefixCache,
    Request,
    Vtc,
)
from property_tests.programs import Cancel, Fail, Plan, mislead

TENANTS = ("a", "b", "c")
WEIGHTS = {"b": 2.0, "c": 0.5}
PATIENT = 10**6
"""Failed steps in a row that no program reaches."""


# --- what can be done ---------------------------------------------------------------


@attrs.frozen
class Ask:
    """A request: so many tokens of a stem, then tokens of its own."""

    tenant: str
    stem: int
    stem_length: int
    tail: tuple[int, ...]
    max_tokens: int
    adapter: str | None = None

    def request(self) -> Request:
        prompt = [self.stem] * self.stem_length + list(self.tail)
        return Request(
            tenant=self.tenant,
            prompt=prompt,
            max_tokens=self.max_tokens,
            adapter=self.adapter,
        )


@attrs.frozen
class Commit:
    """Answer the outstanding plan: what is sampled, and who stops, modulo who could."""

    token: int = 1
    stop: int | None = None


@attrs.frozen
class Pin:
    """Pin so many tokens of a stem in a tenant's cache."""

    tenant: str
    stem: int
    length: int


@attrs.frozen
class Unpin:
    """Unpin one that is pinned, modulo how many are."""

    which: int


Op = Ask | Cancel | Plan | Commit | Fail | Pin | Unpin
Program = list[Op]
STEP: Program = [Plan(), Commit()]


def flat(parts: Iterable[Iterable[Op]]) -> Program:
    """One program of several."""
    return [op for part in parts for op in part]


# --- where it is done ---------------------------------------------------------------


@attrs.frozen
class Setting:
    """Where a program runs."""

    capacity: Capacity
    policy: Policy
    misled: bool = False
    """Admits far too much, as after many answers of length 0, and so preempts."""

    def kernel(self) -> Kernel:
        kernel = Kernel(self.capacity, self.policy)
        if self.misled:
            mislead(kernel)
        return kernel


# --- strategies ---------------------------------------------------------------------

asks = st.builds(
    Ask,
    tenant=st.sampled_from(TENANTS),
    stem=st.sampled_from([1, 1, 2]),
    stem_length=st.integers(1, 9),
    tail=st.lists(st.sampled_from([1, 2]), max_size=3).map(tuple),
    max_tokens=st.integers(1, 6),
    adapter=st.sampled_from([None, None, None, "lora"]),
)


@st.composite
def crowds(draw: st.DrawFn) -> Program:
    """Several that begin with one stem and arrive together."""
    length = draw(st.integers(3, 9))
    tails = st.lists(st.sampled_from([1, 2]), min_size=1, max_size=2).map(tuple)
    asked = st.builds(
        Ask,
        tenant=st.sampled_from(TENANTS),
        stem=st.just(draw(st.sampled_from([1, 2]))),
        stem_length=st.just(length),
        tail=tails,
        max_tokens=st.integers(1, 3),
    )
    return [*draw(st.lists(asked, min_size=2, max_size=5))]


answers = st.builds(
    Commit,
    token=st.sampled_from([1, 1, 2]),
    stop=st.one_of(st.none(), st.none(), st.integers(0, 9)),
)
single_asks = asks.map(lambda ask: [ask])
rounds = st.lists(answers, min_size=1, max_size=4).map(
    lambda commits: flat([Plan(), commit] for commit in commits)
)
rare = st.one_of(
    st.builds(Cancel, st.integers(0, 30)),
    st.just(Plan()),
    st.just(Fail()),
    st.builds(
        Pin, st.sampled_from(TENANTS), st.sampled_from([1, 2]), st.integers(1, 8)
    ),
    st.builds(Unpin, st.integers(0, 3)),
).map(lambda op: [op])
programs: st.SearchStrategy[Program] = st.lists(
    st.one_of(crowds(), single_asks, rounds, rounds, rounds, rare),
    min_size=12,
    max_size=30,
).map(flat)

caches = st.sampled_from(
    [
        PrefixCache(),
        PrefixCache(everybody=True),
        PrefixCache(everybody=True),
        PrefixCache(everybody=True, max_wait=0),
        PrefixCache(everybody=True, max_pinned_blocks=3),
        # A group that is called like a tenant outside of it.
        PrefixCache(groups={"a": "c", "b": "c"}, max_wait=1, max_pinned_blocks=2),
    ]
)
disciplines: st.SearchStrategy[Discipline] = st.sampled_from(
    [Vtc(), Vtc(slack=6.0), Vtc(slack=1e6), Dlpm(6.0), Lpm(), Fcfs()]
)
# Small, so that blocks run out and the cache is evicted all the time.
capacities = st.builds(
    Capacity,
    blocks=st.integers(8, 24),
    block_size=st.sampled_from([1, 2, 3]),
    max_sequences=st.integers(2, 6),
    tokens_per_step=st.sampled_from([6, 20, 40]),
    prefix_cache=st.just(value=True),
)
policies = st.builds(
    Policy,
    weights=st.sampled_from([WEIGHTS, {}]),
    cost=st.sampled_from([LinearCost(), LinearCost(cached=0.5)]),
    discipline=disciplines,
    admission=st.sampled_from(Admission),
    order=st.sampled_from(Order),
    patience=st.sampled_from([0, 2, 64]),
    prefix_cache=caches,
    commitment=st.sampled_from([None, None, 12.0]),
    max_failures=st.sampled_from([0, PATIENT]),
)
settings_of_kernels = st.builds(Setting, capacities, policies, st.booleans())
