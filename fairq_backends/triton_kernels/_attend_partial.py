"""Attention of some rows over one segment: the other schedule of the same arithmetic.

One form serves both split decode (a row, its segments in many programs) and shared
prefixes (a segment, read once for all rows that have it in their tables). The states
that it writes are folded by ``fold``. (Dao et al., *Flash-Decoding*, 2023; Juravsky et
al., *Hydragen*, 2024; here the cuts never depend on the batch.)
"""

import torch
from torch import Tensor

from fairq_backends.triton_kernels._attention_check import (
    check_attention,
    heads_of,
    launch_options,
    scale_of,
    usual_tile,
)
from fairq_backends.triton_kernels._check import INTEGERS, check, next_power
from fairq_backends.triton_kernels._constants import SEGMENT
from fairq_backends.triton_kernels._gather import gathered, scores_of
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl
from fairq_backends.triton_kernels._softmax import add_tile, neutral

__all__ = ["attend_partial", "attend_partial_kernel", "reference"]


def reference(  # noqa: PLR0913, PLR0917  # the kernel's arguments
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    positions: Tensor,
    items: Tensor,
    n_items: Tensor,
    members: Tensor,
    maxima: Tensor,
    sums: Tensor,
    states: Tensor,
    *,
    segment: int = SEGMENT,
    **_order: int,
) -> None:
    """What ``attend_partial`` computes, row by row, in float32, without tiles."""
    group = q.shape[1] // keys.shape[1]
    for table_row, part, first, count in items[: int(n_items)].tolist():
        for row, slot in members[first : first + count].tolist():
            begin, end = part * segment, int(positions[row]) + 1
            end = min(end, begin + segment)
            if begin >= end:
                continue
            key = gathered(keys, tables[table_row], end)[begin:]
            value = gathered(values, tables[table_row], end)[begin:]
            scores = scores_of(q[row], key)
            maxima[slot] = scores.amax(1)
            weights = torch.exp2(scores - maxima[slot][:, None])
            sums[slot] = weights.sum(1)
            many = value.repeat_interleave(group, dim=1)
            states[slot] = torch.einsum("hl,lhd->hd", weights, many)


def attend_partial(  # noqa: PLR0913, PLR0917  # queries, cache, work list, answer, order
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    positions: Tensor,
    items: Tensor,
    n_items: Tensor,
    members: Tensor,
    maxima: Tensor,
    sums: Tensor,
    states: Tensor,
    *,
    program_rows: int = 16,
    programs: int = 396,
    segment: int = SEGMENT,
    tile: int | None = None,
) -> None:
    """States of rows over one segment each; see ``fold`` for what becomes of them.

    A segment that begins after a row's position is not read, and where that holds for
    all members of an item nothing is written: lists may be made for longer contexts
    than there are, so that they last for many steps.

    Args:
        q: (T, Hq, D), rotated.
        keys: (num_blocks, Hkv, P, D).
        values: The same shape.
        tables: (S, most blocks) int32 or int64: block ids of each sequence.
        positions: (T,) int32 or int64: the position of each row of q.
        items: (capacity, 4) int32: table row, number of the segment, first entry of
            ``members``, how many entries (at most ``program_rows // G``).
        n_items: (1,) int32: how many items count. Read by the kernel.
        members: (any, 2) int32: row of q, slot of the state it gets.
        maxima: (slots, Hq) float32: written, largest score in base 2.
        sums: (slots, Hq) float32: written, sum of the weights.
        states: (slots, Hq, D) float32: written, weighted sum of the values.
        program_rows: Rows of a program, members * G: 16, 64 or 128. Free.
        programs: Programs of the grid, which share the items. Free.
        segment: Keys of a segment; see ``SEGMENT``.
        tile: Keys of a tile; None: ``TILE``, or ``TILE_FLOAT32`` in float32.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    tile = tile or usual_tile(q.dtype)
    check_attention(q, keys, values, tables, (program_rows, segment, tile))
    check("positions", positions, (q.shape[0],), INTEGERS)
    check("items", items, (None, 4), (torch.int32,))
    check("n_items", n_items, (1,), (torch.int32,))
    check("members", members, (None, 2), (torch.int32,))
    _, heads, dim = q.shape
    check("states", states, (None, heads, dim), (torch.float32,))
    check("maxima", maxima, (states.shape[0], heads), (torch.float32,))
    check("sums", sums, (states.shape[0], heads), (torch.float32,))
    attend_partial_kernel[(programs,)](
        q,
        keys,
        values,
        tables,
        positions,
        items,
        n_items,
        members,
        maxima,
        sums,
        states,
        scale_of(dim),
        tables.shape[1],
        **heads_of(q, keys),
        dim_block=next_power(dim),
        rows=program_rows,
        tile=tile,
        segment=segment,
        **launch_options(program_rows, dim, q.dtype),
    )


@jit
def attend_partial_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    q: Pointer,
    keys: Pointer,
    values: Pointer,
    tables: Pointer,
    positions: Pointer,
    items: Pointer,
    n_items: Pointer,
    members: Pointer,
    maxima: Pointer,
    sums: Pointer,
    states: Pointer,
    scale: Scalar,
    table_stride: Scalar,
    heads: constexpr,
    kv_heads: constexpr,
    page: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    rows: constexpr,
    tile: constexpr,
    segment: constexpr,
) -> None:
    total = tl.load(n_items) * kv_heads
    index = tl.program_id(0)
    while index < total:
        item = items + (index // kv_heads) * 4
        kv_head = index % kv_heads
        table = tables + tl.load(item).to(tl.int64) * table_stride
        begin = tl.load(item + 1) * segment
        group: constexpr = heads // kv_heads
        r = tl.arange(0, rows)
        live = r // group < tl.load(item + 3)
        member = members + (tl.load(item + 2) + r // group) * 2
        row = tl.load(member, mask=live, other=0).to(tl.int64)
        slot = tl.load(member + 1, mask=live, other=0).to(tl.int64)
        position = tl.load(positions + row, mask=live, other=-1).to(tl.int32)
        limit = tl.max(position, 0) + 1
        if begin < limit:
            head = kv_head * group + r % group
            _attend_segment(
                q, keys, values, table, maxima, sums, states, scale, live,
                position, row * heads + head, slot * heads + head, kv_head, begin,
                limit, kv_heads, page, dim, dim_block, rows, tile, segment,
            )  # fmt: skip
        index += tl.num_programs(0)


@jit
def _attend_segment(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    q: Pointer,
    keys: Pointer,
    values: Pointer,
    table: Pointer,
    maxima: Pointer,
    sums: Pointer,
    states: Pointer,
    scale: Scalar,
    live: Scalar,
    position: Scalar,
    source: Scalar,
    target: Scalar,
    kv_head: Scalar,
    begin: Scalar,
    limit: Scalar,
    kv_heads: constexpr,
    page: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    rows: constexpr,
    tile: constexpr,
    segment: constexpr,
) -> None:
    """The bound of the loop is constant, so that its loads are issued ahead at once."""
    d = tl.arange(0, dim_block)
    mask = live[:, None] & (d < dim)[None, :]
    query = tl.load(q + source[:, None] * dim + d[None, :], mask=mask, other=0.0)
    m, s, acc = neutral(rows, dim_block)
    for ahead in range(0, segment, tile):
        m, s, acc = add_tile(
            m, s, acc, query, position, scale, keys, values, table, kv_head,
            begin + ahead, limit, kv_heads, page, dim, dim_block, rows, tile,
        )  # fmt: skip
    tl.store(maxima + target, m, mask=live)
    tl.store(sums + target, s, mask=live)
    tl.store(states + target[:, None] * dim + d[None, :], acc, mask=mask)
