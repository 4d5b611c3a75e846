"""Every invariant is broken once by hand, so that ``check`` is known to see it."""

from collections.abc import Callable

import pytest

from fairq import BlockId, InvariantError, RequestId
from fairq.kernel._lifecycle import Lifecycle
from tests.kernel.driving import Loop, capacity


def healthy() -> Loop:
    """Request 1 decodes, 2 prefills, 3 waits; tenant d is idle with debt."""
    loop = Loop(capacity(sequences=2, tokens=8))
    loop.submit("d", length=6, max_tokens=1)
    loop.submit("a", length=2, max_tokens=9)
    loop.step()
    loop.submit("b", length=20)
    loop.submit("c")
    loop.step()
    loop.kernel.check()
    return loop


def block_lost(life: Lifecycle) -> None:
    life.ledger.take(1)


def block_doubled(life: Lifecycle) -> None:
    life.sequences[RequestId(1)].blocks.append(BlockId(life.ledger.free_blocks()[-1]))


def block_free_twice(life: Lifecycle) -> None:
    life.ledger._free[0] = life.ledger._free[1]


def slot_lost(life: Lifecycle) -> None:
    life.sequences[RequestId(1)].slot = -1


def slot_shared(life: Lifecycle) -> None:
    life.sequences[RequestId(1)].slot = life.sequences[RequestId(2)].slot


def slot_nowhere(life: Lifecycle) -> None:
    life.batch.total_slots += 1


def calendar_lost(life: Lifecycle) -> None:
    life.batch._ends.clear()


def sum_wrong(life: Lifecycle) -> None:
    life.batch._produced_offset += 1


def queue_lost(life: Lifecycle) -> None:
    life.counters.tenants["c"].waiting.clear()


def charge_lost(life: Lifecycle) -> None:
    life.sequences[RequestId(2)].prepaid -= 1


def prepaid_wrong(life: Lifecycle) -> None:
    life.counters.tenants["b"].prepaid += 1


def owed_wrong(life: Lifecycle) -> None:
    life.counters.tenants["b"].granted += 1


def rate_wrong(life: Lifecycle) -> None:
    life.counters.tenants["b"].decoding += 1


def draft_left(life: Lifecycle) -> None:
    life.counters.tenants["c"].pending = 5


def turn_lost(life: Lifecycle) -> None:
    life.counters.backlogged.discard(life.counters.tenants["c"])


def idle_unnoted(life: Lifecycle) -> None:
    life.counters._idle.discard(life.counters.tenants["d"])


def tenant_forgotten(life: Lifecycle) -> None:
    del life.counters.tenants["a"]


def table_short(life: Lifecycle) -> None:
    life.ledger.give_back(life.sequences[RequestId(2)].blocks)
    life.sequences[RequestId(2)].blocks = []


def waits_with_blocks(life: Lifecycle) -> None:
    life.sequences[RequestId(3)].blocks = life.ledger.take(1)


def too_long(life: Lifecycle) -> None:
    waiting = life.sequences[RequestId(3)]
    waiting.outputs.extend(range(waiting.request.max_tokens))


def arriving_for_nothing(life: Lifecycle) -> None:
    life.arriving[life.counters.tenants["c"]] = RequestId(9)


def calendar_crowded(life: Lifecycle) -> None:
    life.batch._buckets[0][RequestId(9)] = life.sequences[RequestId(3)]


BREAKS: list[tuple[Callable[[Lifecycle], None], str]] = [
    (block_lost, "1 blocks are nowhere."),
    (block_doubled, "Block 7 is held by request 1 and by free."),
    (block_free_twice, "A block is free twice."),
    (slot_lost, "Slots are shared or missing: [-1, 0]."),
    (slot_shared, "Slots are shared or missing: [0, 0]."),
    (slot_nowhere, "1 slots are nowhere."),
    (calendar_lost, "Request 1 is not where its phase says."),
    (sum_wrong, "Members produced 2 tokens, the batch says 3."),
    (queue_lost, "Request 3 is not in the right queue of its tenant."),
    (charge_lost, "Request 2 has 1 prompt tokens that nobody charged."),
    (prepaid_wrong, "Tenant 'b' has prepaid 14, its requests something else."),
    (owed_wrong, "Tenant 'b' owes 5 outputs, its requests 4."),
    (rate_wrong, "Tenant 'b' owes 2 outputs, its requests 4."),
    (draft_left, "Tenant 'c' carries the traces of a draft."),
    (turn_lost, "Tenant 'c' takes turns without waiting, or waits without turns."),
    (idle_unnoted, "Tenant 'd' is idle and not noted as such, or the reverse."),
    (tenant_forgotten, "The tenant of request 1 is forgotten."),
    (table_short, "Request 2 has 0 blocks, needs 5."),
    (waits_with_blocks, "Request 3 waits and holds blocks."),
    (too_long, "Request 3 has produced 4 tokens and is not over."),
    (arriving_for_nothing, "Somebody is arriving and no plan is outstanding."),
    (calendar_crowded, "Somebody in the calendar does not decode."),
]


def test_a_healthy_kernel_has_no_problems() -> None:
    healthy()


@pytest.mark.parametrize(("damage", "expected"), BREAKS)
def test_damage_is_found_and_named(
    damage: Callable[[Lifecycle], None], expected: str
) -> None:
    loop = healthy()
    damage(loop.kernel._life)
    with pytest.raises(InvariantError) as caught:
        loop.kernel.check()
    assert f"{expected} This is a bug" == str(caught.value)[: len(expected) + 14]
    assert loop.kernel.snapshot() == caught.value.snapshot


def test_blocks_of_an_outstanding_plan_are_accounted_for() -> None:
    loop = healthy()
    loop.submit("e")
    loop.cancel(RequestId(1))
    loop.plan()
    loop.kernel.check()


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("spare", range(-2, 5))
def test_a_table_is_as_long_as_what_is_computed_and_two_more_at_most(
    spare: int, steps: int
) -> None:
    """Of what is known the last is not computed; the next may have its block."""
    loop = Loop(capacity(block_size=1))
    loop.submit(length=1, max_tokens=9)
    loop.steps(steps)
    life = loop.kernel._life
    (member,) = life.sequences.values()
    computed = member.known - 1
    assert computed == steps
    life.ledger.give_back(member.blocks)
    member.blocks = life.ledger.take(max(0, computed + spare))

    if 0 <= spare <= 2:
        loop.kernel.check()
        return
    with pytest.raises(InvariantError, match=f"blocks, needs {steps}"):
        loop.kernel.check()
