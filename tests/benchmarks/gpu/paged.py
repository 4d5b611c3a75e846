"""One layer's KV cache full of random numbers, and attention over it in both forms."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from fairq_backends.triton_kernels import (
    SEGMENT,
    attend_partial,
    attend_prefill,
    fold,
)
from fairq_backends.triton_kernels.work import (
    Decode,
    PartialWork,
    PrefillSpan,
    SharedPrefix,
    States,
    WorkList,
    partial_lists,
    prefill_items,
)
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.sizes import Heads

__all__ = ["Decoding", "Paged", "Prefill", "paged", "tile_of"]


@attrs.frozen(eq=False)
class Paged:
    """The cache of some sequences, their blocks all over the pool."""

    heads: Heads
    keys: Tensor
    values: Tensor
    tables: Tensor
    """(sequences, blocks of each) int32."""

    def kv_bytes(self, positions: int) -> int:
        """K and V of so many positions."""
        each = 2 * self.heads.kv_heads * self.heads.dim
        return each * self.keys.element_size() * positions


def paged(
    bench: Bench, sequences: int, length: int, *, shared: int = 0, heads: Heads
) -> Paged:
    """Sequences of equal length, the first ``shared`` positions in the same blocks."""
    per_table = -(-length // heads.block_size)
    blocks = sequences * per_table
    order = torch.randperm(blocks, generator=torch.Generator().manual_seed(1))
    tables = order.view(sequences, per_table).int()
    common = shared // heads.block_size
    tables[:, :common] = tables[:1, :common].clone()
    shape = (blocks, heads.kv_heads, heads.block_size, heads.dim)
    keys, values = bench.random(*shape, seed=1), bench.random(*shape, seed=2)
    return Paged(heads, keys, values, tables.to(bench.device))


def tile_of(segment: int) -> int:
    """64 as in production, less for the segments of a rehearsal."""
    return min(64, segment)


@attrs.frozen(eq=False)
class Decoding:
    """One row for each sequence, by the partial form and its fold."""

    cache: Paged
    q: Tensor
    positions: Tensor
    out: Tensor
    work: PartialWork
    states: States
    launches: tuple[tuple[int, WorkList], ...]
    """Rows of a program, and the items that get so many."""
    segment: int

    @classmethod
    def of(  # noqa: PLR0913  # cache, rows, and how they are cut
        cls,
        bench: Bench,
        cache: Paged,
        positions: Sequence[tuple[int, int]],
        *,
        shared: Sequence[SharedPrefix] = (),
        program_rows: int = 16,
        lone_rows: int | None = None,
        segment: int = SEGMENT,
    ) -> "Decoding":
        """Lists for rows.

        Args:
            bench: Where.
            cache: What they attend to.
            positions: (Table row, position) of each.
            shared: Groups of them that share blocks.
            program_rows: Rows of a program.
            lone_rows: Those of items with one member, if that is another number.
            segment: Keys of a segment.
        """
        heads = cache.heads
        decodes = [Decode(i, row, at + 1) for i, (row, at) in enumerate(positions)]
        members = program_rows * heads.kv_heads // heads.heads
        work = partial_lists(
            decodes, shared, members_per_item=members, segment=segment
        ).to(bench.device)
        q = bench.random(len(decodes), heads.heads, heads.dim, seed=3)
        return cls(
            cache,
            q,
            torch.tensor([at for _, at in positions], device=bench.device),
            torch.empty_like(q),
            work,
            States.make(work.slots, heads.heads, heads.dim, bench.device),
            _launches(work.items, program_rows, lone_rows),
            segment,
        )

    def run(self) -> None:
        """Launch everything."""
        for program_rows, items in self.launches:
            self._part(program_rows, items)
        folds, states = self.work.folds, self.states
        fold(
            self.positions,
            folds.items,
            folds.count,
            states.maxima,
            states.sums,
            states.states,
            self.out,
            segment=self.segment,
        )

    def _part(self, program_rows: int, items: WorkList) -> None:
        cache, states = self.cache, self.states
        attend_partial(
            self.q,
            cache.keys,
            cache.values,
            cache.tables,
            self.positions,
            items.items,
            items.count,
            self.work.members,
            states.maxima,
            states.sums,
            states.states,
            program_rows=program_rows,
            segment=self.segment,
            tile=tile_of(self.segment),
        )


def _launches(
    items: WorkList, program_rows: int, lone_rows: int | None
) -> tuple[tuple[int, WorkList], ...]:
    if lone_rows is None:
        return ((program_rows, items),)
    lone = items.items[:, 3] == 1
    return (
        (program_rows, _only(items.items[~lone])),
        (lone_rows, _only(items.items[lone])),
    )


def _only(items: Tensor) -> WorkList:
    count = torch.full((1,), len(items), dtype=torch.int32, device=items.device)
    return WorkList(items.contiguous(), count)


@attrs.frozen(eq=False)
class Prefill:
    """New positions at the end of one sequence."""

    cache: Paged
    q: Tensor
    out: Tensor
    items: WorkList
    program_rows: int
    segment: int

    @classmethod
    def of(
        cls,
        bench: Bench,
        cache: Paged,
        new: int,
        before: int,
        program_rows: int,
        segment: int = SEGMENT,
    ) -> "Prefill":
        """Items for ``new`` positions after ``before`` others."""
        heads = cache.heads
        tokens = program_rows * heads.kv_heads // heads.heads
        listed = prefill_items([PrefillSpan(0, before, new, 0)], tokens)
        items = WorkList.make(len(listed), 4, bench.device)
        items.fill(listed)
        q = bench.random(new, heads.heads, heads.dim, seed=3)
        return cls(cache, q, torch.empty_like(q), items, program_rows, segment)

    def run(self) -> None:
        """Launch it."""
        cache = self.cache
        attend_prefill(
            self.q,
            cache.keys,
            cache.values,
            cache.tables,
            self.items.items,
            self.items.count,
            self.out,
            program_rows=self.program_rows,
            segment=self.segment,
            tile=tile_of(self.segment),
        )
