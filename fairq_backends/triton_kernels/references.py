"""The plain Torch references of the kernels: the same arguments, no Triton, no tiles.

Each stands in its kernel's file and is that kernel's specification. They are slow.
"""

from fairq_backends.triton_kernels._add_norm import reference as add_norm
from fairq_backends.triton_kernels._attend_partial import reference as attend_partial
from fairq_backends.triton_kernels._attend_prefill import reference as attend_prefill
from fairq_backends.triton_kernels._fold import reference as fold
from fairq_backends.triton_kernels._matmul import reference as matmul
from fairq_backends.triton_kernels._rope_store import reference as rope_store
from fairq_backends.triton_kernels._sample import reference as sample
from fairq_backends.triton_kernels._swiglu import reference as swiglu

__all__ = [
    "add_norm",
    "attend_partial",
    "attend_prefill",
    "fold",
    "matmul",
    "rope_store",
    "sample",
    "swiglu",
]
