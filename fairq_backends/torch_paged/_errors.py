"""What the executor says when something cannot be done."""

from typing import Final, NoReturn

import torch

from fairq import BackendError, StepId

__all__ = ["NAME", "is_out_of_memory", "refuse"]

NAME: Final = "torch"
"""The name under which the backend is installed."""


def refuse(message: str, step_id: StepId) -> NoReturn:
    """Refuse a plan; nothing was changed.

    Raises:
        BackendError: always.
    """
    raise BackendError(message, backend=NAME, step_id=step_id)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, or the CPU's allocator, had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU allocator has no exception of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
