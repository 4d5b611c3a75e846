"""KV memory as a backend fills it: what each position of each block was computed for.

A sequence must only ever read what was computed for itself, since it last entered. The
kernel never sees this memory; whether its tables keep to the rule is seen here.
"""

from collections.abc import Iterable, Mapping

import attrs

from fairq import StepPlan
from property_tests.models import ModelRequest


@attrs.frozen
class Cell:
    """What was computed into one position of one block."""

    request_id: int
    position: int
    stay: int
    """How often the sequence had entered by then."""


class KvMemory:
    """Executes plans on memory: writes what is due, then reads what attention reads."""

    def __init__(self, block_size: int) -> None:
        self._size = block_size
        self._cells: dict[tuple[int, int], Cell] = {}
        self._stays: dict[int, int] = {}

    def execute(
        self,
        plan: StepPlan,
        decodes: Iterable[int],
        members: Mapping[int, ModelRequest],
    ) -> None:
        """One step; ``members`` as they are after it."""
        for enter in plan.enter:
            stays = self._stays.get(enter.request_id, 0)
            self._stays[enter.request_id] = stays + 1
        computed: list[tuple[int, int, int]] = [
            (c.request_id, c.start, c.length) for c in plan.chunks
        ]
        computed += [(id_, members[id_].computed - 1, 1) for id_ in decodes]
        for id_, start, length in computed:
            for position in range(start, start + length):
                place = self._place(members[id_], position)
                self._cells[place] = Cell(id_, position, self._stays[id_])
        for id_, start, length in computed:
            self._read(id_, members[id_], start + length)

    def _place(self, member: ModelRequest, position: int) -> tuple[int, int]:
        return member.blocks[position // self._size], position % self._size

    def _read(self, id_: int, member: ModelRequest, end: int) -> None:
        """Attention looks at everything before; all of it must be its own."""
        for position in range(end):
            expected = Cell(id_, position, self._stays[id_])
            assert expected == self._cells.get(self._place(member, position))
