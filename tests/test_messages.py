"""What a user reads when something is wrong, word for word.

A message says what was expected, what came and what to do. Reading them side by side
is the point; change one on purpose, and here too.
"""

from collections.abc import Callable

import pytest

from fairq import (
    Capacity,
    Dlpm,
    FairqError,
    Kernel,
    LinearCost,
    Policy,
    PrefixCache,
    Request,
    StepId,
    StepPlan,
    StepResult,
    TokenIds,
    UsageError,
    Vtc,
)
from fairq.sim import Job
from tests.kernel.driving import capacity, request

Call = Callable[[], object]

VALUES: dict[str, Call] = {
    "Request.tenant must be a string that is not empty; got ''.": (
        lambda: Request(tenant="", prompt=TokenIds([1]), max_tokens=1)
    ),
    "Request.prompt must be at least one token long; got TokenIds([]).": (
        lambda: request(length=0)
    ),
    "Request.max_tokens must be an integer >= 1 (output tokens); got 0.": (
        lambda: request(max_tokens=0)
    ),
    "Token ids must be integers in 0..2**31-1; got -7.": lambda: TokenIds([1, -7]),
    "Token ids must be integers; got str.": lambda: TokenIds("text"),  # type: ignore[arg-type]  # wrong types are the test
    "Capacity.blocks must be an integer >= 1 (KV blocks); got 0.": (
        lambda: Capacity(blocks=0)
    ),
    "Capacity.block_size must be an integer >= 1 (tokens); got -16.": (
        lambda: Capacity(blocks=1, block_size=-16)
    ),
    "Policy.weights must be finite and > 0 for every tenant ('a' is not); got 0.": (
        lambda: Policy(weights={"a": 0})
    ),
    "Policy.weights must be finite and > 0 for every tenant ('a' is not); got nan.": (
        lambda: Policy(weights={"a": float("nan")})
    ),
    "Policy.weights must be keyed by tenant names; got ''.": (
        lambda: Policy(weights={"": 1})
    ),
    "Policy.weights must be a Mapping; got list.": lambda: Policy(weights=[]),  # type: ignore[arg-type]  # as above
    "Policy.weights must be such that one output token (cost.output=2.0) divided by "
    "the weight is 2**-22 to 2**31 service units; got 1000000000.0.": lambda: Policy(
        weights={"a": 1e9}
    ),
    "Policy.discipline must be a discipline such as Vtc() or Fcfs(); got 'vtc'.": (
        lambda: Policy(discipline="vtc")  # type: ignore[arg-type]  # as above
    ),
    "Policy.cost must be a fairq.LinearCost; got 2.": lambda: Policy(cost=2),  # type: ignore[arg-type]  # as above
    "Policy.admission must be a fairq.Admission; got 'reserve'.": (
        lambda: Policy(admission="reserve")  # type: ignore[arg-type]  # as above
    ),
    "Policy.token_budget must be None or an integer >= 1 (tokens per step); got 0.": (
        lambda: Policy(token_budget=0)
    ),
    "Policy.max_failures must be an integer >= 0 (failed steps); got -1.": (
        lambda: Policy(max_failures=-1)
    ),
    "LinearCost.output must be a finite number > 0 (service units); got 0.": (
        lambda: LinearCost(output=0)
    ),
    "LinearCost.prompt must be a finite number >= 0 (service units); got -1.": (
        lambda: LinearCost(prompt=-1)
    ),
    "Vtc.slack must be a finite number >= 0 (service units per unit of weight); "
    "got inf.": lambda: Vtc(slack=float("inf")),
    "Dlpm.quantum must be a finite number >= 0 (service units per weight); got -1.": (
        lambda: Dlpm(-1)
    ),
    "Capacity.prefix_cache must be True or False; got 1.": (
        lambda: Capacity(blocks=1, prefix_cache=1)  # type: ignore[arg-type]  # as above
    ),
    "Request.adapter must be None or a string that is not empty; got ''.": (
        lambda: Request(tenant="a", prompt=[1], max_tokens=1, adapter="")
    ),
    "LinearCost.cached must be at most prompt=1.0; got 2.": (
        lambda: LinearCost(cached=2)
    ),
    "Policy.order must be a fairq.Order; got 'prefix'.": lambda: Policy(order="prefix"),  # type: ignore[arg-type]  # as above
    "Policy.patience must be an integer >= 0 (requests); got -1.": (
        lambda: Policy(patience=-1)
    ),
    "Policy.prefix_cache must be a fairq.PrefixCache; got True.": (
        lambda: Policy(prefix_cache=True)  # type: ignore[arg-type]  # as above
    ),
    "Policy.commitment must be a finite number > 0 (service units); got 0.": (
        lambda: Policy(commitment=0)
    ),
    "PrefixCache.max_wait must be an integer >= 0 (steps); got -1.": (
        lambda: PrefixCache(max_wait=-1)
    ),
    "PrefixCache.groups must be names of groups by names of tenants, none of them "
    "empty; got {'a': ''}.": lambda: PrefixCache(groups={"a": ""}),
    "PrefixCache.everybody must be False where there are groups; got True.": (
        lambda: PrefixCache(everybody=True, groups={"a": "b"})
    ),
    "Job.arrival_s must be a finite number >= 0 (seconds); got -1.0.": (
        lambda: Job("a", -1.0, 1, 1)
    ),
    "Job.prompt_tokens must be an integer >= 1 (tokens); got 0.": (
        lambda: Job("a", 0.0, 0, 1)
    ),
}


@pytest.mark.parametrize("message", VALUES)
def test_a_wrong_value_says_what_a_right_one_is(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        VALUES[message]()
    assert message == str(caught.value)


def kernel(policy: Policy | None = None) -> Kernel:
    return Kernel(capacity(blocks=8, block_size=4), policy)


def full(policy: Policy) -> Kernel:
    made = kernel(policy)
    made.submit(request("a"))
    return made


def planned() -> tuple[Kernel, StepPlan]:
    """Two requests sample in step 0."""
    made = kernel()
    made.submit(request("a"))
    made.submit(request("b"))
    plan = made.plan()
    assert isinstance(plan, StepPlan)
    return made, plan


def commit(tokens: object, stopped: object = (), step_id: int = 0) -> None:
    made, _ = planned()
    made.commit(StepResult(StepId(step_id), tokens, stopped))  # type: ignore[arg-type]  # wrong types are the test


CALLS: dict[str, Call] = {
    "Request needs 9 KV blocks of 4 tokens (prompt of 30, max_tokens=4) but the "
    "backend has 8; it can never run. Shorten the prompt or lower max_tokens.": (
        lambda: kernel().submit(request(length=30))
    ),
    "The queue of tenant 'a' (Policy.max_waiting_per_tenant) holds 1 requests and "
    "may hold 1. Try again when some have finished.": (
        lambda: full(Policy(max_waiting_per_tenant=1)).submit(request("a"))
    ),
    "The queue (Policy.max_waiting) holds 1 requests and may hold 1. Try again when "
    "some have finished.": lambda: full(Policy(max_waiting=1)).submit(request("b")),
    "The request must be a Request; got str.": lambda: kernel().submit("hello"),  # type: ignore[arg-type]  # as above
    "now_ns must be an integer (nanoseconds); got 0.5.": lambda: kernel().plan(0.5),  # type: ignore[arg-type]  # as above
    "Policy.token_budget is 4096 tokens, but the backend has 64. Lower it, or leave "
    "it out to use all the backend has.": lambda: kernel(Policy(token_budget=4096)),
    "Policy.max_sequences is 99 sequences, but the backend has 8. Lower it, or leave "
    "it out to use all the backend has.": lambda: kernel(Policy(max_sequences=99)),
    "Result for step 0, but no plan is outstanding. Call plan().": (
        lambda: kernel().commit(StepResult(StepId(0), {}))
    ),
    "Failure for step 0, but no plan is outstanding. Call plan().": (
        lambda: kernel().fail(StepId(0))
    ),
    "Result for step 7, but the outstanding step is 0. Answer each plan once, in "
    "order.": lambda: commit({}, step_id=7),
    "Failure for step 7, but the outstanding step is 0. Answer each plan once, in "
    "order.": lambda: planned()[0].fail(StepId(7)),
    "Cancel the integer that submit returned; got '0'.": (
        lambda: kernel().cancel("0")  # type: ignore[arg-type]  # as above
    ),
    "The capacity must be a Capacity; got int.": (
        lambda: Kernel(7)  # type: ignore[arg-type]  # as above
    ),
    "The policy must be a Policy; got str.": (
        lambda: Kernel(Capacity(blocks=8), "vtc")  # type: ignore[arg-type]  # as above
    ),
    "The result must be a StepResult; got dict.": lambda: kernel().commit({}),  # type: ignore[arg-type]  # as above
    "StepResult.tokens of step 0 must be a Mapping; got list.": lambda: commit([1, 2]),
    "The result of step 0 has 1 tokens, expected 2: missing 1, unexpected none. "
    "Answer with one token for every member of decodes and every chunk that samples.": (
        lambda: commit({0: 5})
    ),
    "The result of step 0 has 3 tokens, expected 2: missing none, unexpected 9. "
    "Answer with one token for every member of decodes and every chunk that samples.": (
        lambda: commit({0: 5, 1: 5, 9: 5})
    ),
    "The result of step 0 has an impossible token. Token ids must be integers in "
    "0..2**31-1; got -1.": lambda: commit({0: 5, 1: -1}),
    "StepResult.stopped of step 0 must be a tuple; got list.": (
        lambda: commit({0: 5, 1: 5}, stopped=[0])
    ),
    "The result of step 0 stops 9, which have no token in it. Only a sequence with a "
    "token in this step can stop.": lambda: commit({0: 5, 1: 5}, stopped=(9,)),
}


@pytest.mark.parametrize("message", CALLS)
def test_a_wrong_call_says_what_to_do(message: str) -> None:
    with pytest.raises(FairqError) as caught:
        CALLS[message]()
    assert message == str(caught.value)


@pytest.mark.parametrize("message", [*VALUES, *CALLS])
def test_a_message_is_a_sentence(message: str) -> None:
    assert message.endswith(".")
    assert message[0].isupper() or message.startswith("now_ns")
    assert "\n" not in message
