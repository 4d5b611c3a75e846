"""Running out of memory while a model is made: whose, and how much it wanted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._config import LlamaConfig


@contextmanager
def enough_memory(
    name: str, path: Path, config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> Iterator[None]:
    """Turns whatever torch says when memory is out into a ``ModelError``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        wanted = config.parameters * dtype.itemsize
        msg = (
            f"Not enough memory on {device} for {name}: its weights take {wanted:,} "
            f"bytes as {str(dtype).removeprefix('torch.')}."
        )
        raise ModelError(msg, path=path) from error


def _is_memory(error: MemoryError | RuntimeError) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # On the CPU torch raises a plain RuntimeError; a size that no machine has comes
    # as an overflow of the storage size.
    text = str(error)
    return "can't allocate memory" in text or "Storage size calculation" in text
