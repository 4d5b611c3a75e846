"""What the executor says when something cannot be done."""

from typing import Final, NoReturn

import torch

from fairq import BackendError, StepId

__all__ = ["NAME", "is_beyond_repair", "is_out_of_memory", "refuse"]

NAME: Final = "torch"
"""The name under which the backend is installed."""


def refuse(message: str, step_id: StepId) -> NoReturn:
    """Refuse a plan; nothing was changed.

    Raises:
        BackendError: always.
    """
    raise BackendError(message, backend=NAME, step_id=step_id)


ONEDNN: Final = ("could not create a primitive", "could not execute a primitive")
"""What Torch says when oneDNN, which asks the system by itself, got no memory. It was
seen to create no primitive any more after that, however much memory was free again."""

SAYS: Final = (
    *ONEDNN,
    "can't allocate memory",  # the CPU's allocator
    "Storage size calculation overflowed",  # more than any machine has
    "CUDA error: out of memory",  # the driver, where Torch did not ask
    "CUBLAS_STATUS_ALLOC_FAILED",
)
"""What a plain RuntimeError says when it is about memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, the CPU's allocator, or a library had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(each in text for each in SAYS)


def is_beyond_repair(error: BaseException) -> bool:
    """Whether it is a lack of memory after which the library computes no more."""
    return any(each in str(error) for each in ONEDNN)
