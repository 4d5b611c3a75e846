"""Cheap checks of what a kernel is given: no look at the numbers, no wait for a GPU."""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.triton_kernels._errors import KernelUsageError
from fairq_backends.triton_kernels._language import interpreting, tl

__all__ = ["FLOATS", "INTEGERS", "check", "check_device", "check_pools", "next_power"]

FLOATS: Final = (torch.float32, torch.float16, torch.bfloat16)
INTEGERS: Final = (torch.int32, torch.int64)


def check(
    name: str,
    tensor: Tensor,
    shape: tuple[int | None, ...],
    dtypes: tuple[torch.dtype, ...],
) -> None:
    """Shape (None: any length), type and contiguity of one argument.

    Raises:
        KernelUsageError: Something differs; the message names the argument.
    """
    fits = tensor.dim() == len(shape) and all(
        wanted is None or wanted == came
        for wanted, came in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if length is None else length for length in shape)
        msg = f"{name}: expected the shape {wanted}, got {tuple(tensor.shape)}"
        raise KernelUsageError(msg)
    if tensor.dtype not in dtypes:
        msg = (
            f"{name}: expected one of the types {', '.join(map(str, dtypes))}, got "
            f"{tensor.dtype}"
        )
        raise KernelUsageError(msg)
    if not tensor.is_contiguous():
        msg = (
            f"{name}: expected a contiguous tensor, got strides {tensor.stride()}; "
            f"call .contiguous() first"
        )
        raise KernelUsageError(msg)


def check_device(name: str, tensor: Tensor) -> None:
    """That a kernel can run where this tensor is.

    A missing Triton is not complained of here: the launch tells how to install it.
    """
    if tensor.is_cuda or interpreting() or tl is None:
        return
    msg = (
        f"{name}: expected a tensor on a CUDA device, got one on {tensor.device}; "
        f"without a GPU set TRITON_INTERPRET=1 before fairq_backends.triton_kernels "
        f"is imported (slow, for tests)"
    )
    raise KernelUsageError(msg)


def check_pools(keys: Tensor, values: Tensor, dtype: torch.dtype) -> None:
    """K and V of one layer: (num_blocks, Hkv, P, D) each, of the queries' type."""
    check("keys", keys, (None, None, None, None), (dtype,))
    check("values", values, tuple(keys.shape), (dtype,))


def next_power(number: int) -> int:
    """The smallest power of two that is not less than a number >= 1."""
    return 1 << (number - 1).bit_length()
