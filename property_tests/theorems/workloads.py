"""Workloads that come close to the bounds, and the kernels they run on.

Few slots, so that one tenant commits much while another waits; long outputs and small
prompts, so that what is committed is charged late; a large budget most of the time, so
that it is charged in long strides; and now and then everything else.
"""

from collections.abc import Iterable

import attrs
from hypothesis import strategies as st

from fairq import Admission, Capacity, Discipline, Fcfs, LinearCost, Policy, Vtc
from property_tests.programs import (
    Cancel,
    Commit,
    Fail,
    Op,
    Plan,
    Program,
    Setting,
    Submit,
    flat,
    single,
)

WEIGHTS = {"a": 1.0, "b": 2.0, "c": 0.5, "d": 3.0}
"""A third cannot be counted exactly: a price is rounded, once."""
SLACKS = (0.0, 6.0, 100.0)
STRIDE: Program = [Plan(), Commit()] * 12


def submits(tenants: str) -> st.SearchStrategy[Submit]:
    return st.builds(
        Submit,
        tenant=st.sampled_from(tenants),
        prompt=st.sampled_from([1, 1, 2, 7, 16]),
        max_tokens=st.sampled_from([1, 3, 10, 24]),
        count=st.integers(1, 4),
    )


def some_steps(most: int) -> st.SearchStrategy[Program]:
    return st.integers(1, most).map(lambda count: [Plan(), Commit()] * count)


def absences(tenants: str) -> st.SearchStrategy[Program]:
    """One tenant works for long; then another comes, and both have much to do."""
    crowds = submits(tenants).map(lambda one: attrs.evolve(one, count=6))
    return st.tuples(crowds, some_steps(60), crowds).map(
        lambda both: [both[0], *both[1], both[2], both[0], *STRIDE]
    )


def programs_of(
    tenants: str,
    during: Iterable[st.SearchStrategy[Op]] = (),
    between: Iterable[st.SearchStrategy[Op]] = (),
) -> st.SearchStrategy[Program]:
    """Requests, steps and early ends; more while a step runs, and more else."""
    asked = submits(tenants)
    inside = st.one_of(asked, *during, st.builds(Commit, st.integers(0, 9)))
    parts = st.one_of(
        single(asked),
        single(asked),
        some_steps(3),
        some_steps(12),
        absences(tenants),
        inside.map(lambda op: [Plan(), op, Commit()]),
        *(single(each) for each in between),
    )
    # Everybody has something to do before anything else happens.
    crowd = st.lists(single(asked), min_size=4, max_size=6)
    rest = st.lists(parts, min_size=4, max_size=12)
    return st.tuples(crowd, rest).map(lambda both: flat([*both[0], *both[1]]))


cancels = st.builds(Cancel, st.integers(0, 20))
failures = st.just(Fail())
calm = programs_of("abcd")
"""Nothing is cancelled and no step fails."""
polite = programs_of("abcd", between=[cancels])
"""Nothing is cancelled while a step runs."""
wild = programs_of(
    "abcd", during=[cancels, cancels, failures], between=[cancels, cancels]
)

# With many slots memory decides who fits, with few it never does.
capacities = st.builds(
    Capacity,
    blocks=st.sampled_from([40, 24]),
    block_size=st.sampled_from([1, 1, 2]),
    max_sequences=st.sampled_from([6, 3, 2, 1]),
    tokens_per_step=st.sampled_from([8, 3, 512]),
)


def policies(
    weights: dict[str, float] = WEIGHTS,
    slacks: Iterable[float] = SLACKS,
    costs: Iterable[tuple[float, float]] = ((1.0, 2.0),),
) -> st.SearchStrategy[Policy]:
    prices = [LinearCost(prompt=one, output=other) for one, other in costs]
    return st.builds(
        Policy,
        weights=st.just(weights),
        cost=st.sampled_from(prices),
        discipline=st.sampled_from([Vtc(slack=slack) for slack in slacks]),
        admission=st.sampled_from(Admission),
        max_failures=st.sampled_from([0, 3]),
    )


def kernels(policies: st.SearchStrategy[Policy]) -> st.SearchStrategy[Setting]:
    return st.builds(Setting, capacities, policies, st.booleans())


any_kernel = kernels(policies())


def reserving(capacity: Capacity, slack: float = 0.0) -> Setting:
    """Never preempts, so every step executes something for the first time."""
    policy = Policy(discipline=Vtc(slack=slack), admission=Admission.RESERVE)
    return Setting(capacity, policy)


disciplines: st.SearchStrategy[Discipline] = st.sampled_from(
    [*(Vtc(slack=slack) for slack in SLACKS), Fcfs()]
)

isolated_workloads = st.lists(submits("fgh"), min_size=4, max_size=8)
"""``f`` asks now and then, the others at some rate."""
