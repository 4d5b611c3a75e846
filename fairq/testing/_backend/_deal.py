"""A plan as it is dealt to a backend: a copy, so that the kernel's own stays whole.

The copy shows what a backend does to a plan, and may name other slots and blocks than
the kernel's: from the top of the pool instead of the bottom. No backend can tell.
"""

from collections.abc import Callable

import attrs

from fairq.backend import Capacity
from fairq.plan import BlockId, DecodeSet, Enter, SharedPrefix, StepPlan
from fairq.request import RequestId

Rename = Callable[[int], int]


def same(number: int) -> int:
    """The name that the kernel gave."""
    return number


@attrs.frozen
class Names:
    """What slots and blocks are called before the backend."""

    slot: Rename = same
    block: Rename = same

    @classmethod
    def mirrored(cls, capacity: Capacity) -> "Names":
        """The highest for the lowest: a few requests reach the top of the pool."""
        return cls(
            slot=lambda slot: capacity.max_sequences - 1 - slot,
            block=lambda block: capacity.blocks - 1 - block,
        )


class Deal:
    """One plan in the hands of a backend.

    Args:
        plan: The kernel's.
        names: What slots and blocks are to be called.
    """

    def __init__(self, plan: StepPlan, names: Names) -> None:
        self._slots = {id_: names.slot(plan.decodes.slot(id_)) for id_ in plan.decodes}
        self.plan: StepPlan = _renamed(plan, names, DecodeSet(self._slots))
        self._told = _told(self.plan)

    def changed(self) -> tuple[str, str] | None:
        """What the plan said and what it says now; None when that is the same."""
        now = _told(self.plan)
        return None if now == self._told else _difference(self._told, now)

    def expire(self) -> None:
        """It was answered: the view of the decodes shows nothing any more."""
        self._slots.clear()


def _renamed(plan: StepPlan, names: Names, decodes: DecodeSet) -> StepPlan:
    def blocks(table: tuple[BlockId, ...]) -> tuple[BlockId, ...]:
        return tuple(BlockId(names.block(block)) for block in table)

    def entered(enter: Enter) -> Enter:
        slot = names.slot(enter.slot)
        return attrs.evolve(enter, slot=slot, blocks=blocks(enter.blocks))

    grow: list[tuple[RequestId, BlockId]]
    grow = [(id_, BlockId(names.block(block))) for id_, block in plan.grow]
    shared = (SharedPrefix(blocks(run.blocks), run.members) for run in plan.shared)
    return attrs.evolve(
        plan,
        grow=tuple(grow),
        enter=tuple(map(entered, plan.enter)),
        decodes=decodes,
        shared=tuple(shared),
    )


def _told(plan: StepPlan) -> dict[str, str]:
    """All that a plan says, field by field."""
    slots = [(id_, plan.decodes.slot(id_)) for id_ in plan.decodes]
    plain = ("step_id", "leave", "grow", "chunks", "shared")
    told = {name: repr(getattr(plan, name)) for name in plain}
    told["enter"] = repr([(enter, enter.tokens.raw) for enter in plan.enter])
    return told | {"decodes": repr(slots)}


def _difference(before: dict[str, str], now: dict[str, str]) -> tuple[str, str]:
    field = next(name for name in before if before[name] != now[name])
    return f"{field} stays {before[field]}", f"{field} became {now[field]}"
