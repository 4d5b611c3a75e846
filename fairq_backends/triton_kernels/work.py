"""Work lists: who computes what, as integers on the device.

Kernels read their items and the number of items from memory, so that a captured graph
serves every batch: fill the lists in place, replay. Lists of the partial form hold no
positions and may cover more segments than a context has yet, so that they last until
the batch changes or a context outgrows them.
"""

from collections.abc import Iterator, Sequence

import attrs
import torch
from torch import Tensor

from fairq_backends.triton_kernels._constants import SEGMENT
from fairq_backends.triton_kernels._errors import KernelUsageError

__all__ = [
    "Decode",
    "PartialWork",
    "PrefillSpan",
    "SharedPrefix",
    "States",
    "WorkList",
    "decode_work",
    "partial_lists",
    "prefill_items",
]


@attrs.frozen
class PrefillSpan:
    """Consecutive positions of one sequence, which are consecutive rows of the step."""

    table_row: int
    start: int
    """Position of the first row."""
    length: int
    first_row: int


@attrs.frozen
class Decode:
    """One row of the step that attends by the partial form."""

    row: int
    table_row: int
    length: int
    """Positions that the lists must cover; its position + 1, or more to last longer."""


@attrs.frozen
class SharedPrefix:
    """Rows whose tables begin with the same blocks."""

    members: tuple[int, ...]
    """Indices into the decodes."""

    length: int
    """Positions that they share. Only whole segments of it are computed together."""


@attrs.frozen(eq=False)
class WorkList:
    """Items on the device, with room for more, and how many count."""

    items: Tensor
    """(capacity, columns) int32."""

    count: Tensor
    """(1,) int32."""

    @classmethod
    def make(cls, capacity: int, columns: int, device: torch.device) -> "WorkList":
        """An empty list. Its tensors stay where they are for life."""
        items = torch.zeros(capacity, columns, dtype=torch.int32, device=device)
        return cls(items, torch.zeros(1, dtype=torch.int32, device=device))

    @classmethod
    def of(cls, items: Sequence[Sequence[int]], columns: int) -> "WorkList":
        """A list on the host that holds just these."""
        made = cls.make(len(items), columns, torch.device("cpu"))
        made.fill(items)
        return made

    def fill(self, items: Sequence[Sequence[int]]) -> None:
        """Replace the contents. Two copies to the device.

        Raises:
            KernelUsageError: More items than there is room for.
        """
        if len(items) > len(self.items):
            msg = (
                f"work list: expected at most {len(self.items)} items, got "
                f"{len(items)}; make the list larger"
            )
            raise KernelUsageError(msg)
        if items:
            self.items[: len(items)] = torch.tensor(items, dtype=torch.int32)
        self.count.fill_(len(items))


@attrs.frozen(eq=False)
class PartialWork:
    """What ``attend_partial`` and ``fold`` need to know."""

    items: WorkList
    """(table row, segment, first member, members)."""

    members: Tensor
    """(any, 2) int32: row of q, slot of its state."""

    folds: WorkList
    """(row, first slot, slots)."""

    @property
    def slots(self) -> int:
        """States to make room for; every member has one."""
        return len(self.members)

    def to(self, device: torch.device) -> "PartialWork":
        """The same on a device."""
        lists = (
            WorkList(each.items.to(device), each.count.to(device))
            for each in (self.items, self.folds)
        )
        items, folds = lists
        return PartialWork(items, self.members.to(device), folds)


@attrs.frozen(eq=False)
class States:
    """Memory for the states between ``attend_partial`` and ``fold``; layers share it.

    4 * Hq * (D + 2) bytes a slot.
    """

    maxima: Tensor
    sums: Tensor
    states: Tensor

    @classmethod
    def make(cls, slots: int, heads: int, dim: int, device: torch.device) -> "States":
        """Uninitialised memory."""
        return cls(
            torch.empty(slots, heads, device=device),
            torch.empty(slots, heads, device=device),
            torch.empty(slots, heads, dim, device=device),
        )


def prefill_items(
    spans: Sequence[PrefillSpan], tokens: int
) -> list[tuple[int, int, int, int]]:
    """Cut chunks into items of at most ``tokens`` tokens, the longest contexts first.

    Programs take items in turn; what is done last should be short.

    Args:
        spans: The chunks; empty ones are dropped.
        tokens: Tokens of an item: the kernel's ``program_rows // G``.

    Returns:
        (table row, first row, tokens, first position) of each.
    """
    items = [
        (span.table_row, span.first_row + done, min(tokens, span.length - done),
         span.start + done)
        for span in spans
        for done in range(0, span.length, tokens)
    ]  # fmt: skip
    return sorted(items, key=lambda item: -item[3])


def partial_lists(
    decodes: Sequence[Decode],
    shared: Sequence[SharedPrefix] = (),
    *,
    members_per_item: int,
    segment: int = SEGMENT,
) -> PartialWork:
    """Lists for rows that attend by the partial form, on the host.

    Args:
        decodes: The rows.
        shared: Groups of them that share leading blocks; a row is in one at most.
        members_per_item: The kernel's ``program_rows // G``.
        segment: Keys of a segment; see ``SEGMENT``.

    Returns:
        Lists that hold exactly what is needed. O(sum of segments).

    Raises:
        KernelUsageError: A row is in two groups.
    """
    first_slots, slots = [], 0
    for decode in decodes:
        first_slots.append(slots)
        slots += -(-decode.length // segment)
    items: list[tuple[int, int, int, int]] = []
    members: list[tuple[int, int]] = []
    for who, part in _jobs(decodes, _checked(shared), members_per_item, segment):
        items.append((decodes[who[0]].table_row, part, len(members), len(who)))
        members += [(decodes[each].row, first_slots[each] + part) for each in who]
    folds = [
        (decode.row, first, -(-decode.length // segment))
        for decode, first in zip(decodes, first_slots, strict=True)
    ]
    return PartialWork(
        WorkList.of(items, 4),
        torch.tensor(members, dtype=torch.int32).reshape(-1, 2),
        WorkList.of(folds, 3),
    )


def _checked(shared: Sequence[SharedPrefix]) -> Sequence[SharedPrefix]:
    everyone = [each for group in shared for each in group.members]
    if len(everyone) > len(set(everyone)):
        msg = (
            f"shared prefixes: expected each decode in one group at most, got "
            f"{[group.members for group in shared]}"
        )
        raise KernelUsageError(msg)
    return shared


def _jobs(
    decodes: Sequence[Decode],
    shared: Sequence[SharedPrefix],
    members_per_item: int,
    segment: int,
) -> Iterator[tuple[Sequence[int], int]]:
    """(Decodes that share it, number of the segment) of each item."""
    done = [0] * len(decodes)
    for group in shared:
        whole = group.length // segment
        for each in group.members:
            done[each] = whole
        for part in range(whole):
            for first in range(0, len(group.members), members_per_item):
                yield group.members[first : first + members_per_item], part
    for each, decode in enumerate(decodes):
        for part in range(done[each], -(-decode.length // segment)):
            yield (each,), part


def decode_work(
    table_rows: Tensor, lengths: Tensor, *, segment: int = SEGMENT
) -> PartialWork:
    """Lists for rows 0 .. B - 1 that share nothing, made on their device.

    The same lists as ``partial_lists`` makes, without a loop on the host. Waits for the
    device once, to learn how many items there are.

    Args:
        table_rows: (B,) table row of each.
        lengths: (B,) positions to cover for each: its position + 1, or more for lists
            that last longer. What a context does not reach costs a few loads.
        segment: Keys of a segment; see ``SEGMENT``.
    """
    parts = (lengths + segment - 1) // segment
    batch = torch.arange(len(parts), device=parts.device)
    rows = batch.repeat_interleave(parts)
    slots = torch.arange(len(rows), device=parts.device)
    firsts = parts.cumsum(0) - parts
    items = (table_rows[rows], slots - firsts[rows], slots, torch.ones_like(slots))
    return PartialWork(
        _all_of(torch.stack([each.int() for each in items], 1)),
        torch.stack([rows, slots], 1).int(),
        _all_of(torch.stack([batch, firsts, parts], 1).int()),
    )


def _all_of(items: Tensor) -> WorkList:
    count = torch.full((1,), len(items), dtype=torch.int32, device=items.device)
    return WorkList(items, count)
