"""Hypothesis strategies for the values that fairq takes.

They shrink towards what is easiest to read: few, short, the first tenant, the defaults.
What a failing test prints can be pasted. Drawing costs O(what is drawn).
"""

from collections.abc import Sequence
from typing import Final

from hypothesis import strategies as st

from fairq._validators import is_finite, is_integer, is_text
from fairq.backend import Capacity
from fairq.cost import LinearCost
from fairq.disciplines import Discipline, Fcfs, Vtc
from fairq.errors import UsageError
from fairq.policy import Admission, Policy
from fairq.request import Request
from fairq.sim import Job, Trace

TENANTS: Final = ("a", "b", "c")
MOST_TOKEN_IDS: Final = 2**31
MILLISECONDS: Final = 1000


def requests(
    *,
    tenants: Sequence[str] = TENANTS,
    max_prompt: int = 12,
    max_tokens: int = 12,
    vocabulary: int = 1000,
) -> st.SearchStrategy[Request]:
    """Requests with short prompts, without ``sampling``.

    Shrinks to the first tenant, a prompt of one token 0, and ``max_tokens=1``.

        @given(requests(tenants=["pro", "free"], max_prompt=100))
        def test_every_request_is_answered(request): ...

    Args:
        tenants: Who asks; not empty.
        max_prompt: Most prompt tokens; prompts have 1 to that many.
        max_tokens: Most output tokens; ``Request.max_tokens`` is 1 to that.
        vocabulary: Token ids are 0 to ``vocabulary - 1``; at most 2**31.

    Raises:
        UsageError: an argument is out of its range.
    """
    _check_tenants("requests", tenants)
    check_counts("requests", max_prompt=max_prompt, max_tokens=max_tokens)
    check_counts("requests", vocabulary=vocabulary, most=MOST_TOKEN_IDS)
    ids = st.integers(0, vocabulary - 1)
    return st.builds(
        Request,
        tenant=st.sampled_from(tenants),
        prompt=st.lists(ids, min_size=1, max_size=max_prompt),
        max_tokens=st.integers(1, max_tokens),
    )


def capacities(
    *,
    min_blocks: int = 4,
    max_blocks: int = 20,
    block_sizes: Sequence[int] = (1, 2, 4),
    max_sequences: int = 6,
    max_tokens_per_step: int = 32,
) -> st.SearchStrategy[Capacity]:
    """Capacities so small that blocks, slots and budget run out all the time.

    Shrinks to the fewest blocks, the first block size, one sequence, one token.

        @given(capacities(max_blocks=8))
        def test_a_small_pool_is_enough(capacity): ...

    Args:
        min_blocks: Fewest KV blocks, >= 1.
        max_blocks: Most KV blocks, >= ``min_blocks``.
        block_sizes: Tokens per block, each >= 1; not empty.
        max_sequences: Most sequences in the batch; there are 1 to that many.
        max_tokens_per_step: Most positions per step; there are 1 to that many.

    Raises:
        UsageError: an argument is out of its range.
    """
    name = "capacities"
    check_counts(name, min_blocks=min_blocks, max_sequences=max_sequences)
    check_counts(name, max_blocks=max_blocks, least=min_blocks)
    check_counts(name, max_tokens_per_step=max_tokens_per_step)
    if not block_sizes:
        msg = f"capacities: block_sizes must not be empty; got {block_sizes!r}."
        raise UsageError(msg)
    for size in block_sizes:
        check_counts(name, block_sizes=size)
    return st.builds(
        Capacity,
        blocks=st.integers(min_blocks, max_blocks),
        block_size=st.sampled_from(block_sizes),
        max_sequences=st.integers(1, max_sequences),
        tokens_per_step=st.integers(1, max_tokens_per_step),
    )


def policies(
    *,
    capacity: Capacity | None = None,
    tenants: Sequence[str] = TENANTS,
    disciplines: st.SearchStrategy[Discipline] | None = None,
) -> st.SearchStrategy[Policy]:
    """Policies of every kind: weights 0.01 to 100, prices, admission, limits.

    Shrinks to ``Policy()``, field by field.

        @given(policies(disciplines=st.just(Vtc())))
        def test_no_tenant_waits_for_ever(policy): ...

    Args:
        capacity: What the policy must fit: ``token_budget`` and ``max_sequences`` are
            None or 1 to what there is. When left out, they are None.
        tenants: Who may have a weight; not empty.
        disciplines: Which disciplines; by default ``Vtc`` with slack 0, 8 or 64 service
            units per unit of weight, and ``Fcfs``.

    Raises:
        UsageError: there is no tenant, or a name is no name.
    """
    _check_tenants("policies", tenants)
    return st.builds(
        Policy,
        weights=st.dictionaries(st.sampled_from(tenants), _weights()),
        cost=_costs(),
        discipline=_disciplines() if disciplines is None else disciplines,
        admission=st.sampled_from(Admission),
        token_budget=_within(None if capacity is None else capacity.tokens_per_step),
        max_sequences=_within(None if capacity is None else capacity.max_sequences),
        max_waiting=st.sampled_from([Policy().max_waiting, None, 8]),
        max_failures=st.sampled_from([3, 0, 1]),
    )


def traces(
    *,
    tenants: Sequence[str] = TENANTS,
    max_jobs: int = 20,
    max_prompt: int = 12,
    max_tokens: int = 12,
    seconds: float = 10.0,
) -> st.SearchStrategy[Trace]:
    """Traces for ``fairq.sim``: jobs in order of arrival, some at the same time.

    Shrinks to one job of the first tenant, at time 0, one token in and one out.

        @given(traces(max_jobs=5))
        def test_every_job_has_a_record(trace): ...

    Args:
        tenants: Who asks; not empty.
        max_jobs: Most jobs; there are 1 to that many.
        max_prompt: Most prompt tokens of a job, >= 1.
        max_tokens: Most output tokens of a job, >= 1.
        seconds: Latest arrival, >= 0; arrivals are whole milliseconds.

    Raises:
        UsageError: an argument is out of its range.
    """
    _check_tenants("traces", tenants)
    check_counts("traces", max_jobs=max_jobs, max_prompt=max_prompt)
    check_counts("traces", max_tokens=max_tokens)
    if not is_finite(seconds) or seconds < 0:
        msg = f"traces: seconds must be a finite number >= 0; got {seconds!r}."
        raise UsageError(msg)
    latest = int(seconds * MILLISECONDS)
    jobs = st.builds(
        Job,
        client=st.sampled_from(tenants),
        arrival_s=st.integers(0, latest).map(lambda number: number / MILLISECONDS),
        prompt_tokens=st.integers(1, max_prompt),
        output_tokens=st.integers(1, max_tokens),
    )
    return _trace_of(st.lists(jobs, min_size=1, max_size=max_jobs))


# --- parts ----------------------------------------------------------------------------


@st.composite
def _trace_of(draw: st.DrawFn, jobs: st.SearchStrategy[list[Job]]) -> Trace:
    # Not mapped: a report would show the name of what it is mapped by.
    in_order = sorted(draw(jobs), key=lambda job: job.arrival_s)
    return Trace("generated", tuple(in_order))


def _weights() -> st.SearchStrategy[float]:
    return st.one_of(st.sampled_from([1.0, 2.0, 4.0, 0.5]), st.floats(0.01, 100.0))


def _costs() -> st.SearchStrategy[LinearCost]:
    return st.builds(
        LinearCost,
        prompt=st.sampled_from([1.0, 0.0, 0.25, 3.0]),
        output=st.sampled_from([2.0, 1.0, 0.5]),
    )


def _disciplines() -> st.SearchStrategy[Discipline]:
    slacks = st.sampled_from([8.0, 64.0])
    # Vtc() by itself comes first, so that it is what others shrink to.
    return st.one_of(st.builds(Vtc), st.builds(Vtc, slack=slacks), st.builds(Fcfs))


def _within(available: int | None) -> st.SearchStrategy[int | None]:
    if available is None:
        return st.none()
    return st.one_of(st.none(), st.integers(1, available))


# --- arguments ------------------------------------------------------------------------


def _check_tenants(name: str, tenants: Sequence[str]) -> None:
    if isinstance(tenants, str) or not tenants or not all(map(is_text, tenants)):
        msg = f"{name}: tenants must be names, at least one; got {tenants!r}."
        raise UsageError(msg)


def check_counts(
    name: str, *, least: int = 1, most: int | None = None, **counts: object
) -> None:
    for argument, value in counts.items():
        too_few = not is_integer(value) or value < least  # type: ignore[operator]  # is_integer proves it, but cannot tell mypy for object
        if too_few or (most is not None and value > most):  # type: ignore[operator]  # as above
            limit = "" if most is None else f" and <= {most}"
            msg = f"{name}: {argument} must be an integer >= {least}{limit}"
            raise UsageError(f"{msg}; got {value!r}.")  # noqa: EM102  # half of it is the line above
