"""x @ w.T with the same bits for a row whatever the other rows and their number.

A persistent kernel without split-K: each element is one sum over k, in order, in steps
that depend on the weight alone. The tile sizes over rows and columns do follow the
number of rows; they decide who computes an element, not how. (He and Thinking Machines
Lab, *Defeating Nondeterminism in LLM Inference*, 2025.)
"""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import FLOATS, check, check_device
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl

__all__ = ["block_k", "matmul", "matmul_kernel", "matmul_options", "reference"]

FEW_ROWS: Final = 64
"""Up to here one tile of rows holds all, and memory is the limit, not arithmetic."""

MULTIPROCESSORS: Final = 132
MANY: Final = 4 * MULTIPROCESSORS
"""Small tiles: several programs of a multiprocessor hide each other's waits."""


def reference(x: Tensor, w: Tensor) -> Tensor:
    """What ``matmul`` computes, with plain Torch."""
    return (x.float() @ w.float().T).to(x.dtype)


def block_k(n: int, k: int, dtype: torch.dtype) -> int:
    """Step over k for a weight (n, k). No function of the number of rows, on purpose.

    Today it depends on the type alone; ``n`` and ``k`` are what it may ever depend on.
    """
    del n
    wide = dtype == torch.float32
    return 32 if wide or k < 64 else 64  # noqa: PLR2004  # two rows of the swizzled tile


def matmul_options(
    rows: int, n: int, k: int, dtype: torch.dtype
) -> dict[str, int | bool]:
    """Constants and compiler options for a product of this many rows."""
    few = rows <= FEW_ROWS
    wide = dtype == torch.float32
    columns = 64 if n >= 132 * 64 else 32  # a tile for each SM, or more
    return {
        "n": n,
        "k": k,
        "block_m": 64 if few or wide else 128,
        "block_n": columns if few else 64 if wide else 128,
        "block_k": block_k(n, k, dtype),
        "num_warps": 4 if few and not wide else 8,
        "num_stages": 3 if wide else 4,
        "enable_fp_fusion": True,
    }


def matmul(x: Tensor, w: Tensor, *, programs: int | None = None) -> Tensor:
    """The product of rows with a weight, summed in float32.

    Args:
        x: (T, K).
        w: (N, K), of the type of x.
        programs: Programs of the grid, which share the tiles; None: what suits a
            GPU of 132 multiprocessors. Free: no bit depends on it.

    Returns:
        (T, N), of the type of x.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    check("x", x, (None, None), FLOATS)
    check_device("x", x)
    rows, k = x.shape
    check("w", w, (None, k), (x.dtype,))
    n = w.shape[0]
    out = x.new_empty(rows, n)
    if rows and n:
        options = matmul_options(rows, n, k, x.dtype)
        grid = programs or (MANY if rows <= FEW_ROWS else MULTIPROCESSORS)
        matmul_kernel[(grid,)](x, w, out, rows, **options)
    return out


@jit
def matmul_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    x: Pointer,
    w: Pointer,
    out: Pointer,
    height: Scalar,
    n: constexpr,
    k: constexpr,
    block_m: constexpr,
    block_n: constexpr,
    block_k: constexpr,
) -> None:
    """Tiles go down the rows first: what runs side by side shares columns of w."""
    tall = (height + block_m - 1) // block_m
    wide: constexpr = (n + block_n - 1) // block_n
    index = tl.program_id(0)
    while index < tall * wide:
        _one_tile(
            x, w, out, height, index % tall, index // tall, n, k,
            block_m, block_n, block_k,
        )  # fmt: skip
        index += tl.num_programs(0)


@jit
def _one_tile(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    x: Pointer,
    w: Pointer,
    out: Pointer,
    height: Scalar,
    down: Scalar,
    across: Scalar,
    n: constexpr,
    k: constexpr,
    block_m: constexpr,
    block_n: constexpr,
    block_k: constexpr,
) -> None:
    row = (down * block_m + tl.arange(0, block_m)).to(tl.int64)
    column = (across * block_n + tl.arange(0, block_n)).to(tl.int64)
    kk = tl.arange(0, block_k)
    x_at = x + row[:, None] * k + kk[None, :]
    w_at = w + column[None, :] * k + kk[:, None]
    row_there, column_there = row < height, column < n
    acc = tl.zeros((block_m, block_n), tl.float32)
    for done in range(0, k, block_k):
        there = kk < k - done
        a = tl.load(x_at + done, mask=row_there[:, None] & there[None, :], other=0.0)
        b = tl.load(w_at + done, mask=there[:, None] & column_there[None, :], other=0.0)
        acc = tl.dot(a, b, acc, input_precision="ieee")
    at = row[:, None] * n + column[None, :]
    mask = row_there[:, None] & column_there[None, :]
    tl.store(out + at, acc.to(out.dtype.element_ty), mask=mask)
