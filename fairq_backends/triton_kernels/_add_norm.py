"""Add to the residual stream, and RMSNorm of the sum.

Zhang and Sennrich, *Root Mean Square Layer Normalization* (2019).
"""

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import FLOATS, check, check_device, next_power
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl

__all__ = ["add_norm", "add_norm_kernel", "reference"]


def reference(
    x: Tensor, residual: Tensor | None, weight: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """What ``add_norm`` computes, with plain Torch."""
    total = x if residual is None else (x.float() + residual.float()).to(residual.dtype)
    y = total.float()
    y = y * torch.rsqrt(y.square().mean(-1, keepdim=True) + epsilon)
    return total, (y * weight.float()).to(weight.dtype)


def add_norm(
    x: Tensor, residual: Tensor | None, weight: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """The new residual ``residual + x`` and its RMSNorm, one program a row.

    The sum is rounded to the residual's type first, and the rounded one is normed, in
    float32, and rounded once more at the end.

    Args:
        x: (T, d).
        residual: (T, d); overwritten with the sum. None: only the norm of x.
        weight: (d,). Decides the type of the norm.
        epsilon: Added to the mean of squares.

    Returns:
        The new residual (``residual`` itself; x if there is none) and (T, d).

    Raises:
        KernelUsageError: An argument does not fit.
    """
    check("x", x, (None, None), FLOATS)
    check_device("x", x)
    rows, width = x.shape
    check("weight", weight, (width,), FLOATS)
    total = x if residual is None else residual
    check("residual", total, (rows, width), FLOATS)
    normed = torch.empty_like(x, dtype=weight.dtype)
    if rows:
        add_norm_kernel[(rows,)](
            x,
            total,
            weight,
            normed,
            epsilon,
            width=width,
            block=next_power(width),
            adds=residual is not None,
            num_warps=8 if width > 2048 else 4,  # noqa: PLR2004  # 16 elements a thread
            enable_fp_fusion=False,
        )
    return total, normed


@jit
def add_norm_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    x: Pointer,
    residual: Pointer,
    weight: Pointer,
    normed: Pointer,
    epsilon: Scalar,
    width: constexpr,
    block: constexpr,
    adds: constexpr,
) -> None:
    i = tl.arange(0, block)
    mask = i < width
    at = tl.program_id(0).to(tl.int64) * width + i
    y = tl.load(x + at, mask=mask, other=0.0).to(tl.float32)
    if adds:
        old = tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
        total = (old + y).to(residual.dtype.element_ty)
        tl.store(residual + at, total, mask=mask)
        y = total.to(tl.float32)
    mean = tl.sum(y * y, 0) / width
    w = tl.load(weight + i, mask=mask, other=0.0).to(tl.float32)
    answer = y * tl.rsqrt(mean + epsilon) * w
    tl.store(normed + at, answer.to(normed.dtype.element_ty), mask=mask)
