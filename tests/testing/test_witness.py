"""The witness finds what a backend could not execute; receipts what nobody may hear."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest

from fairq import (
    BlockId,
    Capacity,
    Chunk,
    DecodeSet,
    Events,
    Finished,
    FinishReason,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    SyncBackend,
    TokenIds,
)
from fairq.sim import Job, Trace, simulate
from fairq.testing import ObligationBroken, Receipts, Witness, check_backend

ROOM = Capacity(blocks=16, block_size=2, max_sequences=2, tokens_per_step=16)
ZERO, ONE = RequestId(0), RequestId(1)


def started() -> tuple[Witness, Kernel]:
    """Two members, of three tokens each, and a third request that waits."""
    witness, kernel = Witness(ROOM), Kernel(ROOM, Policy(max_sequences=2))
    for _ in range(3):
        kernel.submit(Request(tenant="a", prompt=[7, 8], max_tokens=4))
    kernel.commit(witness.step(planned(kernel)))
    return witness, kernel


def planned(kernel: Kernel) -> StepPlan:
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    return plan


def test_a_witness_is_a_backend() -> None:
    witness = Witness(ROOM)
    assert isinstance(witness, SyncBackend)
    run = simulate(Trace("one", (Job("a", 0.0, 3, 2),)), witness, Policy())
    assert 1 == run.totals.finished
    witness.close()


def test_a_witness_is_a_good_backend_whose_tokens_depend_on_more_than_the_request() -> (
    None
):
    make = partial(Witness, Capacity(blocks=20, block_size=4, prefix_cache=True))

    report = check_backend(make, deterministic=False, examples=3)
    assert report.preemptions > 0
    assert report.cached_tokens > 0
    with pytest.raises(ObligationBroken, match="as it does alone"):
        check_backend(make, examples=3)


def test_tokens_are_made_up_by_request_and_number() -> None:
    witness, kernel = started()
    kernel.commit(witness.step(planned(kernel)))
    assert {ZERO: [1000, 1001], ONE: [2000, 2001]} == witness.produced
    assert 6 == witness.positions


def test_asking_what_it_would_answer_changes_nothing() -> None:
    witness, kernel = started()
    plan = planned(kernel)
    assert {ZERO: 1001, ONE: 2001} == witness.answer(plan) == witness.answer(plan)
    assert witness.step(plan).tokens == {ZERO: 1001, ONE: 2001}


def test_an_answer_of_the_callers_choice_is_remembered() -> None:
    witness, kernel = started()
    tokens = {ZERO: 5, ONE: 6}
    result = witness.execute(planned(kernel), (ONE,), tokens)
    assert (tokens, (ONE,)) == (result.tokens, result.stopped)
    assert [2000, 6] == witness.produced[ONE]


def grown(plan: StepPlan, index: int, block: int) -> StepPlan:
    grow = list(plan.grow)
    grow[index] = (grow[index][0], BlockId(block))
    return attrs.evolve(plan, grow=tuple(grow))


def with_chunk(plan: StepPlan, **changes: Any) -> StepPlan:  # noqa: ANN401  # any field
    (chunk,) = plan.chunks
    return attrs.evolve(plan, chunks=(attrs.evolve(chunk, **changes),))


def with_enter(plan: StepPlan, **changes: Any) -> StepPlan:  # noqa: ANN401  # as above
    (enter,) = plan.enter
    return attrs.evolve(plan, enter=(attrs.evolve(enter, **changes),))


def decoding(plan: StepPlan, slots: dict[int, int]) -> StepPlan:
    named = {RequestId(id_): slot for id_, slot in slots.items()}
    return attrs.evolve(plan, decodes=DecodeSet(named))


def third() -> tuple[Witness, StepPlan]:
    """A plan in which request 0 has left and request 2 enters."""
    witness, kernel = started()
    kernel.cancel(ZERO)
    return witness, planned(kernel)


def second() -> tuple[Witness, StepPlan]:
    """A plan in which 0 and 1 decode; each has two blocks and gets another."""
    witness, kernel = started()
    while not (plan := planned(kernel)).grow:
        kernel.commit(witness.step(plan))
    assert 2 == len(plan.grow)
    return witness, plan


Case = tuple[Callable[[], tuple[Witness, StepPlan]], Callable[[StepPlan], StepPlan]]

IMPOSSIBLE: dict[str, Case] = {
    "A block is in two tables: 0.": (second, lambda plan: grown(plan, 0, 0)),
    "Expected blocks 0 to 15; got 16.": (second, lambda plan: grown(plan, 0, 16)),
    "Expected blocks 0 to 15; got -1.": (second, lambda plan: grown(plan, 0, -1)),
    "Request 0 has blocks for 4 positions; expected one for position 4.": (
        second,
        lambda plan: attrs.evolve(plan, grow=()),
    ),
    "Expected a member of the batch in grow; got 9.": (
        second,
        lambda plan: attrs.evolve(plan, grow=((RequestId(9), plan.grow[0][1]),)),
    ),
    "Expected a member of the batch in leave; got 9.": (
        second,
        lambda plan: attrs.evolve(plan, leave=(RequestId(9),)),
    ),
    "Expected a member of the batch in decodes; got 9.": (
        second,
        lambda plan: decoding(plan, {9: 0}),
    ),
    "Expected request 0 to keep slot 0; got 1.": (
        second,
        lambda plan: decoding(plan, {0: 1, 1: 0}),
    ),
    "Expected request 2 to decode when all but its last token is computed; got 0 of "
    "2.": (third, lambda plan: decoding(plan, {2: 0})),
    "Expected a chunk that goes on at 0; got Chunk(request_id=2, start=1, length=2, "
    "samples=True).": (third, lambda plan: with_chunk(plan, start=1)),
    "Expected a chunk that goes on at 0; got Chunk(request_id=2, start=0, length=0, "
    "samples=True).": (third, lambda plan: with_chunk(plan, length=0)),
    "Expected samples=True, with 2 of 2 tokens computed; got Chunk(request_id=2, "
    "start=0, length=2, samples=False).": (
        third,
        lambda plan: with_chunk(plan, samples=False),
    ),
    "Expected a member of the batch in chunks; got 9.": (
        third,
        lambda plan: with_chunk(plan, request_id=RequestId(9)),
    ),
    "request 1 enters twice.": (
        third,
        lambda plan: with_enter(plan, request_id=ONE),
    ),
    "A slot has two members: 1.": (third, lambda plan: with_enter(plan, slot=1)),
    "Expected slots 0 to 1; got 2.": (third, lambda plan: with_enter(plan, slot=2)),
    "Nothing is cached, but request 2 says so.": (
        third,
        lambda plan: with_enter(plan, cached=1),
    ),
    "Expected request 2 to enter with the tokens it has produced, []; got [9].": (
        third,
        lambda plan: with_enter(plan, tokens=TokenIds([7, 8, 9])),
    ),
}


@pytest.mark.parametrize("message", IMPOSSIBLE)
def test_a_plan_that_cannot_be_executed_is_found(message: str) -> None:
    make, spoil = IMPOSSIBLE[message]
    witness, plan = make()
    with pytest.raises(AssertionError) as caught:
        witness.step(spoil(plan))
    assert message == str(caught.value)


@pytest.mark.parametrize("make", [second, third], ids=["grow", "enter"])
def test_the_same_plan_unspoiled_is_executed(
    make: Callable[[], tuple[Witness, StepPlan]],
) -> None:
    witness, plan = make()
    assert witness.step(plan).step_id == plan.step_id


def test_a_member_that_decodes_has_no_chunk() -> None:
    witness, plan = second()
    chunk = Chunk(ONE, 5, 1, samples=True)
    with pytest.raises(AssertionError, match="Request 1 is in chunks and in decodes"):
        witness.step(attrs.evolve(plan, chunks=(chunk,)))


# --- receipts -------------------------------------------------------------------------


def test_receipts_keep_what_was_told() -> None:
    receipts = Receipts()
    receipts.note(Events({ZERO: 5, ONE: 6}, preempted=(ONE,)))
    receipts.note(Events({ZERO: 7}, (Finished(ZERO, FinishReason.LENGTH, 2),)))
    assert {ZERO: [5, 7], ONE: [6]} == receipts.received
    assert {ZERO: FinishReason.LENGTH} == receipts.finished
    assert [ONE] == receipts.preempted


def test_a_token_of_a_request_that_is_over_is_for_nobody() -> None:
    receipts = Receipts()
    receipts.note(Events(finished=(Finished(ZERO, FinishReason.CANCELLED, 0),)))
    receipts.note(Events({ZERO: 5}))
    assert {} == receipts.received


def test_nobody_finishes_twice() -> None:
    receipts = Receipts()
    over = Events(finished=(Finished(ZERO, FinishReason.CANCELLED, 0),))
    receipts.note(over)
    with pytest.raises(AssertionError, match="request 0 finished twice"):
        receipts.note(over)


def test_a_request_finishes_with_as_many_tokens_as_it_got() -> None:
    over = Events({ZERO: 5}, (Finished(ZERO, FinishReason.LENGTH, 2),))
    with pytest.raises(AssertionError, match="with the 1 tokens that were delivered"):
        Receipts().note(over)
