"""Runs of a real kernel, made up by Hypothesis: journals, and the plans in them."""

from collections.abc import Iterator
from typing import Final, Self

import attrs
from hypothesis import strategies as st

from fairq._validators import check_type
from fairq.backend import Capacity
from fairq.plan import StepPlan
from fairq.policy import Policy
from fairq.request import Request
from fairq.testing._driver import (
    Ask,
    Begin,
    Break,
    Driver,
    End,
    Mistake,
    Move,
    Steps,
    Stop,
    Wait,
)
from fairq.testing._strategies import (
    MOST_TOKEN_IDS,
    capacities,
    check_counts,
    policies,
    requests,
)
from fairq.testing._transcript._journal import Journal

LARGEST: Final = Capacity(blocks=1, max_sequences=6, tokens_per_step=32)
"""What a policy is drawn for that has to fit a capacity which is drawn too."""


class Plans(tuple[StepPlan, ...]):  # noqa: SLOT001  # a tuple cannot have a slot for the journal
    """Consecutive plans of one run, and where they come from.

    A plain tuple otherwise. Its repr is a scenario that makes them again.

    Attributes:
        journal: The run; ``journal.capacity`` is what the plans were made for.
    """

    journal: Journal

    def __new__(cls, journal: Journal) -> Self:
        """The plans that a run has committed."""
        self = super().__new__(cls, journal.plans)
        self.journal = journal
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return Plans, (self.journal,)

    def __repr__(self) -> str:
        return f"Plans({self.journal!r})"


def journals(
    *,
    capacity: Capacity | None = None,
    policy: Policy | None = None,
    requests: st.SearchStrategy[Request] | None = None,
    max_moves: int = 30,
    vocabulary: int = MOST_TOKEN_IDS,
) -> st.SearchStrategy[Journal]:
    """Journals of whole runs: a real kernel, and a backend that makes up tokens.

    Requests come, are cancelled and refused, steps fail, sequences stop early and are
    preempted, also while a plan is outstanding; at the end all that is left is run.
    Every plan was checked by a ``Witness``. Shrinks to fewer moves and requests.
    Drawing costs what the run costs, some milliseconds by default.

        @given(journals())
        def test_a_run_can_be_done_again(journal):
            replay(journal)

    Args:
        capacity: Of the kernel; one of ``capacities()`` when left out.
        policy: Of the kernel; one of ``policies()`` when left out. Its budget and batch
            are cut to what the capacity has.
        requests: What is submitted. When left out, prompts take up to a third of the
            pool and outputs two thirds of it, so that two often do not fit together.
        max_moves: Most things done before the rest is run, >= 1.
        vocabulary: Made-up tokens are 0 to ``vocabulary - 1``; at most 2**31.

    Raises:
        UsageError: an argument is out of its range or of a wrong type.
        AssertionError: while drawing: the kernel gave a plan that cannot be executed.
    """
    check_counts("journals", max_moves=max_moves)
    check_counts("journals", vocabulary=vocabulary, most=MOST_TOKEN_IDS)
    if capacity is not None:
        check_type(capacity, Capacity, "journals: capacity")
    if policy is not None:
        check_type(policy, Policy, "journals: policy")
    rooms = capacities() if capacity is None else st.just(capacity)
    fitting = LARGEST if capacity is None else capacity
    rules = policies(capacity=fitting) if policy is None else st.just(policy)
    clip = requests is None
    moves = _moves(_demanding(vocabulary) if requests is None else requests, max_moves)

    def run(drawn: tuple[Capacity, Policy, bool, list[Move]]) -> Journal:
        room, rule, hasty, made = drawn
        driver = Driver(room, _fitted(rule, room), vocabulary)
        return driver.run(_clipped(made, room) if clip else made, hasty=hasty)

    hasty = st.sampled_from([False, True, True])
    return st.tuples(rooms, rules, hasty, moves).map(run)


def plans(
    *,
    capacity: Capacity | None = None,
    policy: Policy | None = None,
    requests: st.SearchStrategy[Request] | None = None,
    max_moves: int = 30,
    vocabulary: int = MOST_TOKEN_IDS,
) -> st.SearchStrategy[Plans]:
    """Consecutive plans that a backend can execute in order, from its first on.

    Their ``decodes`` are copies. A step that failed is not among them: its delta is
    repeated in the next, so ids have gaps. A preempted sequence enters again with the
    tokens that were made up, not with those of the backend. At the end the batch is
    empty. All else as ``journals``.

        @given(plans(capacity=MyBackend().capacity))
        def test_every_plan_is_executed(plans):
            backend = MyBackend()
            for plan in plans:
                backend.step(plan)

    Args:
        capacity: As for ``journals``; drawn, it is ``plans.journal.capacity``.
        policy: As for ``journals``.
        requests: As for ``journals``.
        max_moves: As for ``journals``.
        vocabulary: As for ``journals``; ids in prompts follow ``requests``.

    Raises:
        UsageError: as ``journals``.
        AssertionError: as ``journals``.
    """
    return journals(
        capacity=capacity,
        policy=policy,
        requests=requests,
        max_moves=max_moves,
        vocabulary=vocabulary,
    ).map(Plans)


# --- parts ----------------------------------------------------------------------------


def _demanding(vocabulary: int) -> st.SearchStrategy[Request]:
    return requests(max_prompt=20, max_tokens=40, vocabulary=min(vocabulary, 1000))


def _clipped(moves: list[Move], capacity: Capacity) -> Iterator[Move]:
    """Requests as large as the pool bears: two of them often do not fit together.

    Drawn large and cut, because strategies that depend on what was drawn are slow.
    """
    pool = capacity.blocks * capacity.block_size
    for move in moves:
        yield _cut(move, pool) if isinstance(move, Ask) else move


def _cut(move: Ask, pool: int) -> Ask:
    asked = move.request
    smaller = attrs.evolve(
        asked,
        prompt=asked.prompt[: max(1, pool // 3)],
        max_tokens=min(asked.max_tokens, max(1, 2 * pool // 3)),
    )
    return attrs.evolve(move, request=smaller)


def _fitted(policy: Policy, capacity: Capacity) -> Policy:
    budget, members = policy.token_budget, policy.max_sequences
    if budget is not None:
        budget = min(budget, capacity.tokens_per_step)
    if members is not None:
        members = min(members, capacity.max_sequences)
    return attrs.evolve(policy, token_budget=budget, max_sequences=members)


def _moves(
    asked: st.SearchStrategy[Request], max_moves: int
) -> st.SearchStrategy[list[Move]]:
    steps = st.builds(Steps, st.integers(1, 4))
    move = st.one_of(
        st.builds(Ask, asked),
        steps,
        st.builds(Ask, asked, st.integers(2, 4)),
        steps,
        st.builds(Stop, st.integers(0, 9)),
        st.builds(Begin),
        st.builds(End, st.integers(0, 30)),
        st.builds(Break),
        st.builds(Wait, st.integers(1, 99)),
        st.builds(Mistake),
    )
    # Lists are mostly short. The second kind is not, and shrinks to the first.
    long = st.lists(move, min_size=max_moves // 2, max_size=max_moves)
    return st.one_of(st.lists(move, max_size=max_moves), long)
