"""Triton kernels for a Llama with a paged KV cache, each beside its Torch reference.

Nothing here needs a GPU to be imported, nor Triton: a kernel that is launched without
it raises ``TritonMissingError``, which says how to install it. The references are in
``references``.

General layout: one operation a file, with reference, checked wrapper and kernel.
``_softmax`` is the arithmetic that both forms of attention share, ``_constants`` the
order of additions, ``work`` the lists of who computes what, ``_language`` the only
import of Triton.
"""

from fairq_backends.triton_kernels import references, work
from fairq_backends.triton_kernels._add_norm import add_norm
from fairq_backends.triton_kernels._attend_partial import attend_partial
from fairq_backends.triton_kernels._attend_prefill import attend_prefill
from fairq_backends.triton_kernels._constants import (
    PROGRAM_ROWS,
    SEGMENT,
    TILE,
    TILE_FLOAT32,
)
from fairq_backends.triton_kernels._errors import KernelUsageError, TritonMissingError
from fairq_backends.triton_kernels._fold import fold
from fairq_backends.triton_kernels._matmul import matmul
from fairq_backends.triton_kernels._rope_store import rope_store
from fairq_backends.triton_kernels._sample import sample
from fairq_backends.triton_kernels._swiglu import swiglu

__all__ = [
    "PROGRAM_ROWS",
    "SEGMENT",
    "TILE",
    "TILE_FLOAT32",
    "KernelUsageError",
    "TritonMissingError",
    "add_norm",
    "attend_partial",
    "attend_prefill",
    "fold",
    "matmul",
    "references",
    "rope_store",
    "sample",
    "swiglu",
    "work",
]
