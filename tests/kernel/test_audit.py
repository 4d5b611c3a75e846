"""Every invariant is broken once by hand, so that ``check`` is known to see it."""

import re
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
    life.sequences[RequestId(3)].outputs.extend(range(99))


BREAKS: list[tuple[Callable[[Lifecycle], None], str]] = [
    (block_lost, "1 blocks are nowhere"),
    (block_doubled, "is held by"),
    (block_free_twice, "free twice"),
    (slot_lost, "Slots are shared or missing"),
    (slot_shared, "Slots are shared or missing"),
    (slot_nowhere, "1 slots are nowhere"),
    (calendar_lost, "is not where its phase says"),
    (sum_wrong, "the batch says"),
    (queue_lost, "is not in the right queue"),
    (charge_lost, "that nobody charged"),
    (prepaid_wrong, "has prepaid"),
    (owed_wrong, "owes"),
    (rate_wrong, "owes|is charged for"),
    (draft_left, "carries the traces of a draft"),
    (turn_lost, "waits without turns"),
    (idle_unnoted, "is idle and not noted"),
    (tenant_forgotten, "is forgotten"),
    (table_short, "has 0 blocks, needs"),
    (waits_with_blocks, "waits and holds blocks"),
    (too_long, "has produced 99 tokens and is not over"),
]


def test_a_healthy_kernel_has_no_problems() -> None:
    healthy()


@pytest.mark.parametrize(("damage", "expected"), BREAKS)
def test_damage_is_found_and_named(
    damage: Callable[[Lifecycle], None], expected: str
) -> None:
    loop = healthy()
    damage(loop.kernel._life)
    with pytest.raises(InvariantError, match=expected) as caught:
        loop.kernel.check()
    assert loop.kernel.snapshot() == caught.value.snapshot
    assert re.match(r"[A-Z\d].*\. This is a bug in fairq; please", str(caught.value))


def test_blocks_of_an_outstanding_plan_are_accounted_for() -> None:
    loop = healthy()
    loop.submit("e")
    loop.cancel(RequestId(1))
    loop.plan()
    loop.kernel.check()
