"""The gate of the MLP.

Shazeer, *GLU Variants Improve Transformer* (2020).
"""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.triton_kernels._check import FLOATS, check, check_device
from fairq_backends.triton_kernels._errors import KernelUsageError
from fairq_backends.triton_kernels._language import Pointer, constexpr, jit, tl

__all__ = ["reference", "swiglu", "swiglu_kernel"]

BLOCK: Final = 1024
"""Elements of a program."""


def reference(gate_up: Tensor) -> Tensor:
    """What ``swiglu`` computes, with plain Torch."""
    gate, up = gate_up.float().chunk(2, dim=1)
    return (torch.nn.functional.silu(gate) * up).to(gate_up.dtype)


def swiglu(gate_up: Tensor) -> Tensor:
    """silu(gate) * up, in float32 inside, rounded once.

    Args:
        gate_up: (T, 2 F), the gates first.

    Returns:
        (T, F), of the same type.

    Raises:
        KernelUsageError: The argument does not fit.
    """
    check("gate_up", gate_up, (None, None), FLOATS)
    check_device("gate_up", gate_up)
    rows, both = gate_up.shape
    if both % 2:
        msg = f"gate_up: expected an even width, got {both}"
        raise KernelUsageError(msg)
    width = both // 2
    out = gate_up.new_empty(rows, width)
    if rows and width:
        swiglu_kernel[(rows, -(-width // BLOCK))](
            gate_up, out, width=width, block=BLOCK, enable_fp_fusion=False
        )
    return out


@jit
def swiglu_kernel(
    gate_up: Pointer, out: Pointer, width: constexpr, block: constexpr
) -> None:
    row = tl.program_id(0).to(tl.int64)
    i = tl.program_id(1) * block + tl.arange(0, block)
    mask = i < width
    at = gate_up + row * (2 * width) + i
    gate = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(at + width, mask=mask, other=0.0).to(tl.float32)
    answer = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out + row * width + i, answer.to(out.dtype.element_ty), mask=mask)
