"""What the forms of attention check and choose alike."""

from math import e, log2

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import (
    FLOATS,
    INTEGERS,
    check,
    check_device,
    check_pools,
)
from fairq_backends.triton_kernels._constants import PROGRAM_ROWS, TILE, TILE_FLOAT32
from fairq_backends.triton_kernels._errors import KernelUsageError

__all__ = ["check_attention", "heads_of", "launch_options", "scale_of", "usual_tile"]


def check_attention(
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    tables: Tensor,
    order: tuple[int, int, int],
) -> None:
    """Queries, cache and tables fit together; ``order`` is (rows, segment, tile).

    Raises:
        KernelUsageError: They do not.
    """
    check("q", q, (None, None, None), FLOATS)
    check_device("q", q)
    check_pools(keys, values, q.dtype)
    check("tables", tables, (None, None), INTEGERS)
    _check_heads(q, keys)
    _check_order(*order)
    group = q.shape[1] // keys.shape[1]
    if group > order[0]:
        msg = (
            f"program_rows: expected at least G = {group} query heads per KV head, got "
            f"{order[0]}"
        )
        raise KernelUsageError(msg)


def _check_heads(q: Tensor, keys: Tensor) -> None:
    heads, dim = q.shape[1:]
    kv_heads = keys.shape[1]
    if heads % kv_heads or keys.shape[3] != dim:
        msg = (
            f"keys: expected a number of KV heads that divides {heads} and head_dim "
            f"{dim}, as in q, got {kv_heads} and {keys.shape[3]}"
        )
        raise KernelUsageError(msg)


def _check_order(rows: int, segment: int, tile: int) -> None:
    if rows not in PROGRAM_ROWS:
        msg = f"program_rows: expected one of {PROGRAM_ROWS}, got {rows}"
        raise KernelUsageError(msg)
    if tile < 16 or tile & (tile - 1) or segment % tile or segment < tile:  # noqa: PLR2004  # what a matrix instruction takes
        msg = (
            f"segment, tile: expected a power of two >= 16 as tile and a multiple of "
            f"it as segment, got {segment}, {tile}"
        )
        raise KernelUsageError(msg)


def heads_of(q: Tensor, keys: Tensor) -> dict[str, int]:
    """The constants of the shapes."""
    return {
        "heads": q.shape[1],
        "kv_heads": keys.shape[1],
        "page": keys.shape[2],
        "dim": keys.shape[3],
    }


def scale_of(dim: int) -> float:
    """1 / sqrt(D), and log2(e), since the exponentials are powers of two."""
    return float(dim**-0.5 * log2(e))


def usual_tile(dtype: torch.dtype) -> int:
    """The tile of a type, when the caller names none. Of nothing but the type."""
    return TILE_FLOAT32 if dtype == torch.float32 else TILE


def launch_options(rows: int, dim: int, dtype: torch.dtype) -> dict[str, int | bool]:
    """How the compiler should spend registers and shared memory.

    No fused multiply-add outside of the matrix products: the compiler would fuse here
    and not there, and the forms of attention would no longer agree bitwise.
    """
    wide = dtype == torch.float32 and dim > 64  # noqa: PLR2004  # else too much shared memory
    return {
        "num_warps": 8 if rows > 16 else 4,  # noqa: PLR2004  # two states do not fit in fewer
        "num_stages": 2 if wide else 3,
        "enable_fp_fusion": False,
    }
