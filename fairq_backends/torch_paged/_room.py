"""Running out of memory while the executor is made: how much of what was asked for."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs
import torch

from fairq import Capacity, UsageError
from fairq_backends.llama import LlamaConfig
from fairq_backends.torch_paged._capacity import bytes_per_block
from fairq_backends.torch_paged._errors import is_out_of_memory

__all__ = ["Room"]


@attrs.frozen(kw_only=True)
class Room:
    """What takes memory for as long as the executor lives."""

    config: LlamaConfig
    dtype: torch.dtype
    """Of the weights."""
    kv_dtype: torch.dtype
    device: torch.device

    @contextmanager
    def for_weights(self) -> Iterator[None]:
        """While the weights are moved or converted.

        Raises:
            UsageError: memory ran out; the message says what they take.
        """
        with self._enough(f"{self._weights()}. Use a smaller model or dtype."):
            yield

    @contextmanager
    def for_all(self, capacity: Capacity) -> Iterator[None]:
        """While pool and tables are made and weights are packed.

        Raises:
            UsageError: memory ran out, or a size is beyond every machine; the message
                names the sizes.
        """
        advice = "Use less of them (blocks=None is what fits), or a smaller model."
        with self._enough(f"{self._weights()}, {self._tables(capacity)}. {advice}"):
            yield

    @contextmanager
    def _enough(self, needs: str) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError, OverflowError) as error:
            # Torch says nothing of memory where a size has more than 63 bits.
            if not isinstance(error, OverflowError) and not is_out_of_memory(error):
                raise
            msg = f"Not enough memory on {self.device}: {needs}"
            raise UsageError(msg) from error

    def _weights(self) -> str:
        size = self.config.parameters * self.dtype.itemsize
        return f"the weights take {size:,} bytes as {_named(self.dtype)}"

    def _tables(self, capacity: Capacity) -> str:
        # One block more is always zero.
        block = bytes_per_block(self.config, capacity.block_size, self.kv_dtype)
        size = (capacity.blocks + 1) * block
        return (
            f"blocks={capacity.blocks:,} of block_size={capacity.block_size:,} take "
            f"{size:,} bytes as {_named(self.kv_dtype)}, and there are tables for "
            f"max_sequences={capacity.max_sequences:,} and "
            f"tokens_per_step={capacity.tokens_per_step:,}"
        )


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
