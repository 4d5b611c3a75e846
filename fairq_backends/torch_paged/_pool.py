"""The paged KV memory of all layers."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

__all__ = ["KvPool", "LayerPool"]


@attrs.frozen(eq=False)
class LayerPool:
    """K and V of one layer."""

    keys: Tensor
    """(blocks + 1, Hkv, block_size, D)."""

    values: Tensor
    """The same shape."""


@attrs.frozen(eq=False)
class KvPool:
    """K and V of every layer, in blocks; and one block more, which is always zero.

    The zero block is what tables name beyond their end, so that a tile of keys may
    reach over it. A block is zeroed when it is claimed: then whatever a tile reads is a
    finite number, and a masked one counts exactly nothing. It keeps what it holds until
    it is claimed again, for those who begin with the same tokens; but in debug mode
    blocks that nobody holds are NaN, so that a read through a wrong table is seen.
    """

    keys: Tensor
    """(layers, blocks + 1, Hkv, block_size, D)."""

    values: Tensor
    """The same shape."""

    debug: bool

    @classmethod
    def make(  # noqa: PLR0913  # the shape of a pool has this many sides
        cls,
        *,
        layers: int,
        blocks: int,
        kv_heads: int,
        block_size: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device,
        debug: bool = False,
    ) -> "KvPool":
        """A pool in which every block is free.

        A free block is not touched before it is claimed: on a CPU memory is taken when
        it is used, so that a large pool costs nothing at first.
        """
        shape = (layers, blocks + 1, kv_heads, block_size, head_dim)
        keys = torch.empty(shape, dtype=dtype, device=device)
        values = torch.empty(shape, dtype=dtype, device=device)
        pool = cls(keys, values, debug)
        pool.release(range(blocks))
        pool.claim((pool.null_block,))
        return pool

    @property
    def null_block(self) -> int:
        """The id of the block that is always zero: one beyond those of the kernel."""
        return int(self.keys.shape[1]) - 1

    def layer(self, index: int) -> LayerPool:
        """K and V of one layer, as views."""
        return LayerPool(self.keys[index], self.values[index])

    def claim(self, blocks: Sequence[int]) -> None:
        """These blocks belong to somebody from now on. O(blocks * layers)."""
        self._fill(blocks, 0.0)

    def release(self, blocks: Sequence[int]) -> None:
        """These belong to nobody any more. Free, unless in debug mode."""
        if self.debug:
            self._fill(blocks, float("nan"))

    def wipe(self, blocks: Sequence[int], offset: int) -> None:
        """Zero these blocks, the first of them from ``offset`` on.

        Needs no memory of its own: it is used when there may be none.
        """
        for block in blocks:
            self.keys[:, block, :, offset:].zero_()
            self.values[:, block, :, offset:].zero_()
            offset = 0

    def _fill(self, blocks: Sequence[int], value: float) -> None:
        if blocks:
            index = torch.as_tensor(list(blocks), device=self.keys.device)
            self.keys.index_fill_(1, index, value)
            self.values.index_fill_(1, index, value)
