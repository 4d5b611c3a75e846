"""How much the executor can hold: given, or what memory is left for."""

import os
from pathlib import Path
from typing import Final

import attrs
import torch

from fairq import Capacity, UsageError
from fairq_backends.llama import LlamaConfig

__all__ = ["Sizes", "bytes_per_block", "capacity_of"]

CPU_SHARE: Final = 0.25
"""Of the memory that is free: others live on that machine too."""

MEMINFO: Final = Path("/proc/meminfo")

GPU_SHARE: Final = 0.85
"""Of the memory that is free after the weights; the rest is for a step's own."""


@attrs.frozen(kw_only=True)
class Sizes:
    """What ``Capacity`` is made of; None is chosen by the device."""

    blocks: int | None
    block_size: int
    max_sequences: int | None
    tokens_per_step: int | None
    prefix_cache: bool


def bytes_per_block(config: LlamaConfig, block_size: int, dtype: torch.dtype) -> int:
    """K and V of one block in all layers."""
    numbers = 2 * config.layers * config.kv_heads * config.head_dim * block_size
    return numbers * dtype.itemsize


def capacity_of(
    sizes: Sizes, config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> Capacity:
    """The capacity, after the weights were loaded.

    Raises:
        UsageError: a size is out of its bounds, or not one block fits into memory.
    """
    gpu = device.type == "cuda"
    given = Capacity(
        blocks=_or(sizes.blocks, 1),
        block_size=sizes.block_size,
        max_sequences=_or(sizes.max_sequences, 256 if gpu else 64),
        tokens_per_step=_or(sizes.tokens_per_step, 2048 if gpu else 512),
        prefix_cache=sizes.prefix_cache,
    )
    if sizes.blocks is not None:
        return given
    longest = -(-config.context_length // given.block_size)
    fitting = _fitting(given.block_size, config, dtype, device)
    return attrs.evolve(given, blocks=min(fitting, given.max_sequences * longest))


def _or(size: int | None, chosen: int) -> int:
    return chosen if size is None else size


def _fitting(
    block_size: int, config: LlamaConfig, dtype: torch.dtype, device: torch.device
) -> int:
    size = bytes_per_block(config, block_size, dtype)
    free = _free_bytes(device)
    # One more than the kernel may use is always zero.
    blocks = free // size - 1
    if blocks < 1:
        msg = (
            f"A block of {block_size} tokens takes {size:,} bytes; "
            f"{free:,} are free for the pool on {device}. Use a smaller model or dtype."
        )
        raise UsageError(msg)
    return blocks


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * GPU_SHARE)
    return int(_available_bytes() * CPU_SHARE)


def _available_bytes() -> int:
    """What Linux could give without swapping; elsewhere, what is free."""
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    rows = dict(line.split(":", 1) for line in lines)
    return int(rows["MemAvailable"].removesuffix("kB")) * 1024
