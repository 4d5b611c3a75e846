"""The strategies: what they draw, how far, what they shrink to, how it prints."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

import fairq
from fairq import (
    Admission,
    Capacity,
    Events,
    Fcfs,
    FinishReason,
    Kernel,
    LinearCost,
    Policy,
    Request,
    RequestRejected,
    StepPlan,
    Vtc,
)
from fairq.sim import Job, Trace, simulate
from fairq.testing import (
    Fail,
    Journal,
    Plans,
    Raised,
    Submit,
    Witness,
    capacities,
    journals,
    plans,
    policies,
    record,
    requests,
    traces,
)

steady = settings(max_examples=50, derandomize=True, database=None, deadline=None)
search = settings(
    max_examples=3_000,
    derandomize=True,
    database=None,
    deadline=None,
    # To explain a failure takes longer than to shrink it.
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow],
)
glance = settings(search, phases=[Phase.generate])
"""To see that something is there; how small it gets does not matter."""


def smallest(strategy: st.SearchStrategy[Any]) -> object:
    return find(strategy, lambda _: True, settings=search)


# --- what they shrink to --------------------------------------------------------------

SMALLEST: dict[str, tuple[st.SearchStrategy[Any], object]] = {
    "requests": (requests(), Request(tenant="a", prompt=[0], max_tokens=1)),
    "capacities": (
        capacities(),
        Capacity(blocks=4, block_size=1, max_sequences=1, tokens_per_step=1),
    ),
    "policies": (policies(), Policy()),
    "traces": (traces(), Trace("generated", (Job("a", 0.0, 1, 1),))),
}


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_value_is_the_documented_one(name: str) -> None:
    strategy, expected = SMALLEST[name]
    assert expected == smallest(strategy)


def test_the_smallest_run_does_nothing() -> None:
    journal = smallest(journals())
    assert isinstance(journal, Journal)
    assert ["plan"] == journal.commands().splitlines()[1:]


def test_a_run_with_one_preemption_is_small() -> None:
    found = find(journals(), preempts, settings=search)
    submits = [noted for noted in found.calls if isinstance(noted.call, Submit)]
    assert len(submits) <= 4
    assert len(repr(found)) < 500


# --- ranges ---------------------------------------------------------------------------


@steady
@given(requests(tenants=["x", "y"], max_prompt=3, max_tokens=2, vocabulary=5))
def test_requests_keep_to_their_ranges(request: Request) -> None:
    assert request.tenant in {"x", "y"}
    assert 1 <= len(request.prompt) <= 3
    assert 1 <= request.max_tokens <= 2
    assert all(0 <= token < 5 for token in request.prompt)


@steady
@given(
    capacities(
        min_blocks=2,
        max_blocks=3,
        block_sizes=[8],
        max_sequences=2,
        max_tokens_per_step=4,
    )
)
def test_capacities_keep_to_their_ranges(capacity: Capacity) -> None:
    assert 2 <= capacity.blocks <= 3
    assert 8 == capacity.block_size
    assert 1 <= capacity.max_sequences <= 2
    assert 1 <= capacity.tokens_per_step <= 4


ROOM = Capacity(blocks=4, max_sequences=3, tokens_per_step=5)


@steady
@given(policies(capacity=ROOM, tenants=["x"]))
def test_policies_fit_the_capacity(policy: Policy) -> None:
    Kernel(ROOM, policy)
    assert list(policy.weights) in ([], ["x"])


@steady
@given(policy=policies(), capacity=capacities())
def test_policies_without_a_capacity_fit_every_one(
    policy: Policy, capacity: Capacity
) -> None:
    Kernel(capacity, policy)


@steady
@given(policies(disciplines=st.just(Fcfs())))
def test_policies_take_the_disciplines_they_are_given(policy: Policy) -> None:
    assert Fcfs() == policy.discipline


def test_a_discipline_that_is_no_strategy_is_refused_when_it_is_drawn() -> None:
    with pytest.raises(InvalidArgument):
        smallest(policies(disciplines=Vtc()))  # type: ignore[arg-type]  # wrong types are the test


@steady
@given(
    traces(tenants=["x"], max_jobs=4, max_prompt=3, max_tokens=2, seconds=0.5),
)
def test_traces_keep_to_their_ranges_and_in_order(trace: Trace) -> None:
    assert 1 <= len(trace.jobs) <= 4
    for job in trace.jobs:
        assert "x" == job.client
        assert 0 <= job.arrival_s <= 0.5
        assert 1 <= job.prompt_tokens <= 3
        assert 1 <= job.output_tokens <= 2
    arrivals = [job.arrival_s for job in trace.jobs]
    assert sorted(arrivals) == arrivals


@steady
@given(traces())
def test_traces_can_be_simulated(trace: Trace) -> None:
    backend = Witness(Capacity(blocks=99))
    assert len(trace.jobs) == simulate(trace, backend, Policy()).totals.finished


@steady
@given(plans(capacity=ROOM, policy=Policy(max_sequences=1), max_moves=3))
def test_plans_are_made_for_what_was_asked(drawn: Plans) -> None:
    assert ROOM == drawn.journal.capacity
    assert Policy(max_sequences=1) == drawn.journal.policy
    assert all(len(plan.decodes) + len(plan.chunks) <= 1 for plan in drawn)


@steady
@given(journals(policy=Policy(token_budget=32, max_sequences=6)))
def test_a_policy_is_cut_to_a_capacity_that_is_drawn(journal: Journal) -> None:
    assert journal.policy.token_budget == journal.capacity.tokens_per_step
    assert journal.policy.max_sequences == journal.capacity.max_sequences


@steady
@given(journals(requests=requests(tenants=["x"], max_prompt=1, max_tokens=1)))
def test_runs_submit_what_they_are_given(journal: Journal) -> None:
    for noted in journal.calls:
        if isinstance(noted.call, Submit) and noted.call.tenant != "hasty":
            call = noted.call
            assert ("x", 1, 1) == (call.tenant, len(call.prompt), call.max_tokens)


# --- everything happens ---------------------------------------------------------------


def events(journal: Journal) -> list[Events]:
    outcomes = [noted.outcome for noted in journal.calls]
    return [outcome for outcome in outcomes if isinstance(outcome, Events)]


def preempts(journal: Journal) -> bool:
    return any(each.preempted for each in events(journal))


def ends(reason: FinishReason) -> Callable[[Journal], bool]:
    return lambda journal: any(
        end.reason is reason for each in events(journal) for end in each.finished
    )


def raises(error: str, *, retryable: bool | None) -> Callable[[Journal], bool]:
    return lambda journal: any(
        isinstance(noted.outcome, Raised)
        and (error, retryable) == (noted.outcome.error, noted.outcome.retryable)
        for noted in journal.calls
    )


def any_plan(wanted: Callable[[StepPlan], object]) -> Callable[[Journal], bool]:
    return lambda journal: any(wanted(plan) for plan in journal.plans)


def fails(journal: Journal) -> bool:
    return any(
        isinstance(noted.call, Fail) and isinstance(noted.outcome, Events)
        for noted in journal.calls
    )


def submits_during_a_step(journal: Journal) -> bool:
    pairs = zip(journal.calls, journal.calls[1:], strict=False)
    return any(
        isinstance(one.outcome, StepPlan) and isinstance(two.call, Submit)
        for one, two in pairs
    )


def reuses_blocks_at_once(plan: StepPlan) -> bool:
    return bool(plan.leave and plan.grow and plan.enter)


REJECTED = RequestRejected.__name__
HAPPENS: dict[str, Callable[[Journal], bool]] = {
    "a preemption": preempts,
    "an early stop": ends(FinishReason.STOP),
    "an end": ends(FinishReason.LENGTH),
    "a cancellation": ends(FinishReason.CANCELLED),
    "giving up": ends(FinishReason.FAILED),
    "a failed step": fails,
    "a full queue": raises(REJECTED, retryable=True),
    "a wrong answer": raises("UsageError", retryable=None),
    "a chunked prompt": any_plan(lambda plan: any(c.start for c in plan.chunks)),
    "a table that grows": any_plan(lambda plan: plan.grow),
    "a return": any_plan(
        lambda plan: any(e.prompt_length < len(e.tokens) for e in plan.enter)
    ),
    "somebody goes, grows and comes": any_plan(reuses_blocks_at_once),
    "somebody comes during a step": submits_during_a_step,
    "a step with many": any_plan(lambda plan: len(plan.decodes) > 2),
    "reserve": lambda journal: journal.policy.admission is Admission.RESERVE,
    "a time": lambda journal: any(
        isinstance(noted.call, Submit) and noted.call.now_ns for noted in journal.calls
    ),
}


@pytest.mark.parametrize("name", HAPPENS)
def test_everything_that_can_happen_to_a_kernel_is_drawn(name: str) -> None:
    happens = HAPPENS[name]
    assert happens(find(journals(), happens, settings=glance))


def test_a_request_that_never_fits_is_drawn_when_it_may_be() -> None:
    large = requests(max_prompt=40)
    unfit = raises(REJECTED, retryable=False)
    assert unfit(find(journals(requests=large), unfit, settings=glance))


POLICIES: dict[str, Callable[[Policy], bool]] = {
    "no gate": lambda policy: isinstance(policy.discipline, Fcfs),
    "a slack": lambda policy: policy.discipline == Vtc(64.0),
    "weights far apart": lambda policy: (
        len(policy.weights) > 1
        and max(policy.weights.values()) > 50 * min(policy.weights.values())
    ),
    "free prompts": lambda policy: policy.cost == LinearCost(prompt=0.0, output=1.0),
    "a small queue": lambda policy: policy.max_waiting == 8,
    "no patience": lambda policy: policy.max_failures == 0,
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies_of_every_kind_are_drawn(name: str) -> None:
    wanted = POLICIES[name]
    assert wanted(find(policies(), wanted, settings=glance))


# --- how they print -------------------------------------------------------------------


def printed(strategy: st.SearchStrategy[Any], wanted: Callable[[Any], bool]) -> str:
    """The value in the report of a test that fails for it."""

    @settings(search, max_examples=300)
    @given(value=strategy)
    def failing(value: object) -> None:
        assert not wanted(value)

    with pytest.raises(AssertionError) as caught:
        failing()
    (note,) = [each for each in caught.value.__notes__ if "failing(" in each]
    return note[note.index("failing(") :]


PRINTED: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], bool]]] = {
    "requests": (requests(), lambda request: len(request.prompt) > 9),
    "capacities": (capacities(), lambda capacity: capacity.blocks > 5),
    "policies": (policies(), lambda policy: policy.weights),
    "fcfs": (policies(), lambda policy: policy.discipline == Fcfs()),
    "slack": (policies(), lambda policy: policy.discipline == Vtc(8.0)),
    "reserve": (policies(), lambda policy: policy.admission is Admission.RESERVE),
    "traces": (traces(), lambda trace: len(trace.jobs) > 2),
    "plans": (plans(), lambda drawn: len(drawn) > 3),
    "journals": (journals(), lambda journal: len(journal.calls) > 3),
}


@pytest.mark.parametrize("name", PRINTED)
def test_what_a_failing_test_prints_can_be_pasted(name: str) -> None:
    strategy, wanted = PRINTED[name]
    text = printed(strategy, wanted)
    names = vars(fairq) | {"Job": Job, "Trace": Trace, "Plans": Plans, "record": record}
    pasted = eval(text, names | {"failing": lambda value: value})  # noqa: S307  # our own text
    assert wanted(pasted)
    assert len(text) < 1000
    assert not re.search(r"object at 0x|\.\.\.", text)


@steady
@given(plans())
def test_plans_print_as_a_scenario_that_makes_them_again(drawn: Plans) -> None:
    pasted = eval(repr(drawn), {"record": record, "Plans": Plans})  # noqa: S307  # our own text
    assert drawn == pasted
    assert drawn.journal == pasted.journal
    assert len(repr(drawn)) < 4000
