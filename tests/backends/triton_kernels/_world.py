"""A paged KV cache in every awkward shape, and attention as the book has it.

Used in Triton's interpreter (CPU) and on a GPU alike; ``DEVICE`` tells which.
"""

import os
from collections.abc import Sequence
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq_backends.triton_kernels import attend_partial, attend_prefill, fold
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

INTERPRETED: Final = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE: Final = torch.device("cpu" if INTERPRETED else "cuda")

# The interpreter computes on the bit patterns of bfloat16, silently.
DTYPES: Final = (torch.float32, torch.float16) + (
    () if INTERPRETED else (torch.bfloat16,)
)
TOLERANCE: Final = {
    torch.float32: 5e-6 if INTERPRETED else 3e-5,  # a GPU's exponential is less exact
    torch.float16: 2e-3,
    torch.bfloat16: 2e-2,
}

SEGMENT: Final = 64
TILE: Final = 16


@attrs.frozen(eq=False)
class World:
    """Sequences in blocks with shuffled ids. Whatever is no key of theirs is NaN."""

    q: Tensor
    """(rows, Hq, D): the positions of all sequences, one sequence after the other."""
    keys: Tensor
    values: Tensor
    tables: Tensor
    lengths: tuple[int, ...]
    plain_keys: tuple[Tensor, ...]
    """(L, Hkv, D) of each sequence, not paged."""
    plain_values: tuple[Tensor, ...]

    @property
    def group(self) -> int:
        return int(self.q.shape[1]) // int(self.keys.shape[1])

    @property
    def first_rows(self) -> list[int]:
        return [sum(self.lengths[:who]) for who in range(len(self.lengths))]

    @property
    def positions(self) -> Tensor:
        every = [torch.arange(length) for length in self.lengths]
        return torch.cat(every).to(DEVICE, torch.int32)

    def spans(self, who: int, chunk: int) -> list[PrefillSpan]:
        length, first = self.lengths[who], self.first_rows[who]
        return [
            PrefillSpan(who, start, min(chunk, length - start), first + start)
            for start in range(0, length, chunk)
        ]

    def decodes(self, who: int, positions: Sequence[int]) -> list[Decode]:
        first = self.first_rows[who]
        return [Decode(first + p, who, p + 1) for p in positions]

    def oracle(self) -> Tensor:
        """Attention of every row in float64: no tiles, no pages, no base 2."""
        out = torch.zeros(self.q.shape, dtype=torch.float64)
        q = self.q.cpu().double()
        for who, (length, first) in enumerate(
            zip(self.lengths, self.first_rows, strict=True)
        ):
            k = self.plain_keys[who].double().repeat_interleave(self.group, 1)
            v = self.plain_values[who].double().repeat_interleave(self.group, 1)
            for p in range(length):
                scores = torch.einsum("hd,lhd->hl", q[first + p], k[: p + 1])
                weights = torch.softmax(scores * q.shape[2] ** -0.5, 1)
                out[first + p] = torch.einsum("hl,lhd->hd", weights, v[: p + 1])
        return out


def random_numbers(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype)


def make_world(  # noqa: PLR0913  # a cache has this many sides
    lengths: Sequence[int],
    *,
    heads: int = 6,
    kv_heads: int = 2,
    dim: int = 64,
    page: int = 16,
    dtype: torch.dtype = torch.float32,
    shared: int = 0,
) -> World:
    """Sequences; those after the first share ``shared`` leading positions with it."""
    per_table = max(-(-length // page) for length in lengths) + 1
    blocks = per_table * len(lengths) + 3
    order = torch.randperm(blocks, generator=torch.Generator().manual_seed(7))
    tables = order[: per_table * len(lengths)].reshape(len(lengths), per_table).clone()
    tables[:, : shared // page] = tables[0, : shared // page]
    plain = []
    for salt in (100, 200):
        each = [
            random_numbers(length, kv_heads, dim, seed=salt + who, dtype=dtype)
            for who, length in enumerate(lengths)
        ]
        for numbers in each[1:]:
            numbers[:shared] = each[0][:shared]
        plain.append(tuple(each))
    shape = (blocks, kv_heads, page, dim)
    pools = [paged(numbers, tables, shape) for numbers in plain]
    q = random_numbers(sum(lengths), heads, dim, seed=1, dtype=dtype) * 2
    return World(
        q.to(DEVICE),
        pools[0],
        pools[1],
        tables.to(DEVICE, torch.int32),
        tuple(lengths),
        plain[0],
        plain[1],
    )


def paged(
    plain: Sequence[Tensor], tables: Tensor, shape: tuple[int, int, int, int]
) -> Tensor:
    pool = torch.full(shape, torch.nan, dtype=plain[0].dtype)
    page = shape[2]
    for numbers, table in zip(plain, tables, strict=True):
        for p, row in enumerate(numbers):
            pool[table[p // page], :, p % page] = row
    return pool.to(DEVICE)


def by_prefill(
    world: World, spans: Sequence[PrefillSpan], program_rows: int, **order: int
) -> Tensor:
    """The rows of the spans; the others stay 7."""
    out = torch.full_like(world.q, 7.0)
    items = prefill_items(spans, program_rows // world.group)
    listed = WorkList.make(len(items) + 2, 4, DEVICE)
    listed.items.fill_(-1)  # what lies after the items must not be looked at
    listed.fill(items)
    attend_prefill(
        world.q,
        world.keys,
        world.values,
        world.tables,
        listed.items,
        listed.count,
        out,
        program_rows=program_rows,
        **{"programs": 3, "segment": SEGMENT, "tile": TILE} | order,
    )
    return out


def by_parts(
    world: World,
    decodes: Sequence[Decode],
    shared: Sequence[SharedPrefix] = (),
    *,
    program_rows: int = 16,
    **order: int,
) -> Tensor:
    """The rows of the decodes; the others stay 7."""
    segment = order.get("segment", SEGMENT)
    work = partial_lists(
        decodes,
        shared,
        members_per_item=program_rows // world.group,
        segment=segment,
    )
    return run_parts(world, work.to(DEVICE), program_rows, **order)


def run_parts(
    world: World, work: PartialWork, program_rows: int = 16, **order: int
) -> Tensor:
    out = torch.full_like(world.q, 7.0)
    order = {"segment": SEGMENT, "tile": TILE} | order
    heads, dim = world.q.shape[1:]
    states = States.make(work.slots, heads, dim, DEVICE)
    for memory in (states.maxima, states.sums, states.states):
        memory.fill_(torch.nan)  # what was not written must not be read
    buffers = (states.maxima, states.sums, states.states)
    attend_partial(
        world.q,
        world.keys,
        world.values,
        world.tables,
        world.positions,
        work.items.items,
        work.items.count,
        work.members,
        *buffers,
        program_rows=program_rows,
        programs=4,
        segment=order["segment"],
        tile=order["tile"],
    )
    fold(
        world.positions,
        work.folds.items,
        work.folds.count,
        *buffers,
        out,
        programs=3,
        segment=order["segment"],
    )
    return out


def assert_close(expected: Tensor, actual: Tensor, dtype: torch.dtype) -> None:
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(
        actual.cpu().double(), expected.double(), rtol=tolerance, atol=tolerance
    )


def assert_same_bits(expected: Tensor, actual: Tensor) -> None:
    assert expected.dtype == actual.dtype
    assert expected.isfinite().all()
    assert torch.equal(expected, actual), f"differ by {(expected - actual).abs().max()}"
