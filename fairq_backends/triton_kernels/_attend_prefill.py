"""Attention of chunks: a program takes some tokens of one sequence and one KV head.

All query heads of the KV head are rows of one block, so that a key is read once for
them. Segments are folded in registers.
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
from fairq_backends.triton_kernels._check import check, next_power
from fairq_backends.triton_kernels._constants import SEGMENT
from fairq_backends.triton_kernels._gather import attend_rows
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl
from fairq_backends.triton_kernels._softmax import add_tile, finish, merge, neutral

__all__ = ["attend_prefill", "attend_prefill_kernel", "reference"]


def reference(  # noqa: PLR0913, PLR0917  # the kernel's arguments
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    items: Tensor,
    n_items: Tensor,
    out: Tensor,
    **_order: int,
) -> None:
    """What ``attend_prefill`` computes, item by item, in float32, without tiles."""
    for row, first, tokens, start in items[: int(n_items)].tolist():
        rows = slice(first, first + tokens)
        positions = torch.arange(start, start + tokens, device=q.device)
        table = tables[row].expand(tokens, -1)
        out[rows] = attend_rows(q[rows], keys, values, table, positions).to(out.dtype)


def attend_prefill(  # noqa: PLR0913, PLR0917  # queries, cache, work list, answer, order
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    items: Tensor,
    n_items: Tensor,
    out: Tensor,
    *,
    program_rows: int = 128,
    programs: int = 132,
    segment: int = SEGMENT,
    tile: int | None = None,
) -> None:
    """Attention of the tokens that the items name; other rows of ``out`` stay.

    Args:
        q: (T, Hq, D), rotated.
        keys: (num_blocks, Hkv, P, D), with the keys of these tokens stored.
        values: The same shape.
        tables: (S, most blocks) int32 or int64: block ids of each sequence.
        items: (capacity, 4) int32: table row, first row of q, number of tokens (at
            most ``program_rows // G``), position of the first.
        n_items: (1,) int32: how many items count. Read by the kernel.
        out: (T, Hq, D), of the type of q.
        program_rows: Rows of a program, tokens * G: 16, 64 or 128. Free: no bit
            depends on it.
        programs: Programs of the grid, which share the items. Free.
        segment: Keys of a segment; see ``SEGMENT``.
        tile: Keys of a tile; None: ``TILE``, or ``TILE_FLOAT32`` in float32.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    tile = tile or usual_tile(q.dtype)
    check_attention(q, keys, values, tables, (program_rows, segment, tile))
    check("items", items, (None, 4), (torch.int32,))
    check("n_items", n_items, (1,), (torch.int32,))
    check("out", out, tuple(q.shape), (q.dtype,))
    dim = q.shape[2]
    attend_prefill_kernel[(programs,)](
        q,
        out,
        keys,
        values,
        tables,
        items,
        n_items,
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
def attend_prefill_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    q: Pointer,
    out: Pointer,
    keys: Pointer,
    values: Pointer,
    tables: Pointer,
    items: Pointer,
    n_items: Pointer,
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
        first_row = tl.load(item + 1)
        tokens = tl.load(item + 2)
        start = tl.load(item + 3)
        group: constexpr = heads // kv_heads
        r = tl.arange(0, rows)
        d = tl.arange(0, dim_block)
        token = r // group
        live = token < tokens
        row = (first_row + token).to(tl.int64)
        at = (row * heads + kv_head * group + r % group) * dim
        mask = live[:, None] & (d < dim)[None, :]
        query = tl.load(q + at[:, None] + d[None, :], mask=mask, other=0.0)
        position = tl.where(live, start + token, -1)
        answer = _attend(
            query, position, start + tokens, scale, keys, values, table, kv_head,
            kv_heads, page, dim, dim_block, rows, tile, segment,
        )  # fmt: skip
        answer = answer.to(out.dtype.element_ty)
        tl.store(out + at[:, None] + d[None, :], answer, mask=mask)
        index += tl.num_programs(0)


@jit
def _attend(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    query: Scalar,
    position: Scalar,
    limit: Scalar,
    scale: Scalar,
    keys: Pointer,
    values: Pointer,
    table: Pointer,
    kv_head: Scalar,
    kv_heads: constexpr,
    page: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    rows: constexpr,
    tile: constexpr,
    segment: constexpr,
) -> Scalar:
    """One loop over all tiles: a loop in a loop would empty the pipeline each time."""
    all_m, all_s, all_acc = neutral(rows, dim_block)
    m, s, acc = neutral(rows, dim_block)
    for first in tl.range(0, limit, tile):
        m, s, acc = add_tile(
            m, s, acc, query, position, scale, keys, values, table, kv_head,
            first, limit, kv_heads, page, dim, dim_block, rows, tile,
        )  # fmt: skip
        if (first + tile) % segment == 0:
            all_m, all_s, all_acc = merge(all_m, all_s, all_acc, m, s, acc)
            m, s, acc = neutral(rows, dim_block)
    all_m, all_s, all_acc = merge(all_m, all_s, all_acc, m, s, acc)
    return finish(all_s, all_acc)
