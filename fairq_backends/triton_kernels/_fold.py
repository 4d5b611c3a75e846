"""The left fold of the states that ``attend_partial`` wrote."""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import (
    FLOATS,
    INTEGERS,
    check,
    check_device,
    next_power,
)
from fairq_backends.triton_kernels._constants import SEGMENT
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl
from fairq_backends.triton_kernels._softmax import finish, merge, neutral

__all__ = ["fold", "fold_kernel", "reference"]

HEAD_BLOCK: Final = 8
"""Most heads of a program. Few, so that a batch of one fills more of the GPU."""


def reference(  # noqa: PLR0913, PLR0917  # the kernel's arguments
    positions: Tensor,
    items: Tensor,
    n_items: Tensor,
    maxima: Tensor,
    sums: Tensor,
    states: Tensor,
    out: Tensor,
    *,
    segment: int = SEGMENT,
    **_grid: int,
) -> None:
    """What ``fold`` computes: the merged states of each row, or zeros without any."""
    for row, first, count in items[: int(n_items)].tolist():
        length = min(count, int(positions[row]) // segment + 1)
        if not length:
            out[row] = 0
            continue
        part = slice(first, first + length)
        weights = torch.exp2(maxima[part] - maxima[part].amax(0))
        total = (sums[part] * weights).sum(0)
        merged = (states[part] * weights[..., None]).sum(0)
        out[row] = (merged / total[:, None]).to(out.dtype)


def fold(  # noqa: PLR0913, PLR0917  # work list, states, answer
    positions: Tensor,
    items: Tensor,
    n_items: Tensor,
    maxima: Tensor,
    sums: Tensor,
    states: Tensor,
    out: Tensor,
    *,
    programs: int = 528,
    segment: int = SEGMENT,
) -> None:
    """Fold each row's states in the order of their slots; other rows of out stay.

    Args:
        positions: (T,) int32 or int64: the position of each row. States of segments
            after it are not read.
        items: (capacity, 3) int32: row of out, first slot, number of slots; slots of
            a row follow each other in the order of segments, from segment 0 on. A row
            with no slots gets zeros.
        n_items: (1,) int32: how many items count. Read by the kernel.
        maxima: (slots, Hq) float32.
        sums: (slots, Hq) float32.
        states: (slots, Hq, D) float32.
        out: (T, Hq, D).
        programs: Programs of the grid, which share the items. Free.
        segment: Keys of a segment; see ``SEGMENT``.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    check("out", out, (None, None, None), FLOATS)
    check_device("out", out)
    rows, heads, dim = out.shape
    check("positions", positions, (rows,), INTEGERS)
    check("items", items, (None, 3), (torch.int32,))
    check("n_items", n_items, (1,), (torch.int32,))
    check("states", states, (None, heads, dim), (torch.float32,))
    check("maxima", maxima, (states.shape[0], heads), (torch.float32,))
    check("sums", sums, (states.shape[0], heads), (torch.float32,))
    fold_kernel[(programs,)](
        positions,
        items,
        n_items,
        maxima,
        sums,
        states,
        out,
        heads=heads,
        dim=dim,
        dim_block=next_power(dim),
        head_block=min(next_power(heads), HEAD_BLOCK),
        segment=segment,
        enable_fp_fusion=False,
    )


@jit
def fold_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    positions: Pointer,
    items: Pointer,
    n_items: Pointer,
    maxima: Pointer,
    sums: Pointer,
    states: Pointer,
    out: Pointer,
    heads: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    head_block: constexpr,
    segment: constexpr,
) -> None:
    parts: constexpr = (heads + head_block - 1) // head_block
    total = tl.load(n_items) * parts
    index = tl.program_id(0)
    while index < total:
        item = items + (index // parts) * 3
        row = tl.load(item).to(tl.int64)
        reached = (tl.load(positions + row) // segment + 1).to(tl.int32)
        count = tl.minimum(tl.load(item + 2), reached)
        head = (index % parts) * head_block + tl.arange(0, head_block)
        answer = _fold_row(
            maxima, sums, states, tl.load(item + 1), count, head,
            heads, dim, dim_block, head_block,
        )  # fmt: skip
        d = tl.arange(0, dim_block)
        at = (row * heads + head)[:, None] * dim + d[None, :]
        mask = (head < heads)[:, None] & (d < dim)[None, :]
        tl.store(out + at, answer.to(out.dtype.element_ty), mask=mask)
        index += tl.num_programs(0)


@jit
def _fold_row(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    maxima: Pointer,
    sums: Pointer,
    states: Pointer,
    first: Scalar,
    count: Scalar,
    head: Scalar,
    heads: constexpr,
    dim: constexpr,
    dim_block: constexpr,
    head_block: constexpr,
) -> Scalar:
    d = tl.arange(0, dim_block)
    live = head < heads
    mask = live[:, None] & (d < dim)[None, :]
    m, s, acc = neutral(head_block, dim_block)
    for slot in tl.range(first, first + count):
        at = tl.cast(slot, tl.int64) * heads + head
        next_m = tl.load(maxima + at, mask=live, other=float("-inf"))
        next_s = tl.load(sums + at, mask=live, other=0.0)
        state = states + at[:, None] * dim + d[None, :]
        next_acc = tl.load(state, mask=mask, other=0.0)
        m, s, acc = merge(m, s, acc, next_m, next_s, next_acc)
    return finish(s, acc)
