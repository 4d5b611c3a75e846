"""Conversations of many turns: each finds what the turns before it left."""

import copy
import pickle
from collections.abc import Callable

import pytest

from fairq import Capacity, Kernel, Order, Policy, Request, StepPlan, StepResult

TURNS = 300
BLOCK = 4


def serve(kernel: Kernel, prompt: list[int], answer: int) -> list[int]:
    """Submit a prompt and run it to its end; the whole text."""
    kernel.submit(Request(tenant="a", prompt=prompt, max_tokens=5))
    text = list(prompt)
    while isinstance(plan := kernel.plan(), StepPlan):
        chunks = [chunk.request_id for chunk in plan.chunks if chunk.samples]
        tokens = dict.fromkeys([*chunks, *plan.decodes], answer)
        text += kernel.commit(StepResult(plan.step_id, tokens)).tokens.values()
    return text


def conversation(order: Order) -> tuple[Kernel, list[int]]:
    capacity = Capacity(
        blocks=4000, block_size=BLOCK, tokens_per_step=8192, prefix_cache=True
    )
    kernel = Kernel(capacity, Policy(order=order))
    text = [1]
    for turn in range(TURNS):
        text = [*serve(kernel, text, turn), 7, turn]
    return kernel, text


def pickled(kernel: Kernel) -> Kernel:
    again: Kernel = pickle.loads(pickle.dumps(kernel))  # noqa: S301  # made here
    return again


def test_each_turn_computes_only_what_is_new() -> None:
    kernel, text = conversation(Order.FIFO)
    before = kernel.snapshot().cached_tokens

    serve(kernel, text, 0)

    # The last output of a turn was never fed back, and its block may not be full.
    found = kernel.snapshot().cached_tokens - before
    assert 0 <= len(text) - 3 - found < BLOCK + 1
    kernel.check()


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
def test_a_copy_of_a_kernel_with_a_long_conversation_goes_on_like_it(
    order: Order, copied: Callable[[Kernel], Kernel]
) -> None:
    kernel, text = conversation(order)
    kernel.submit(Request(tenant="a", prompt=text, max_tokens=5))
    twin = copied(kernel)
    twin.check()

    plan, again = kernel.plan(), twin.plan()

    assert isinstance(plan, StepPlan)
    assert isinstance(again, StepPlan)
    assert plan.enter == again.enter
    assert plan.enter[0].cached > 0
