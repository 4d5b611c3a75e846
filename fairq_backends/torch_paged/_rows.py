"""Where the K and V of a step's rows go, and how Q and K are turned on the way.

Su et al., *RoFormer: Enhanced Transformer with Rotary Position Embedding* (2021), in
the form that turns the two halves of a head against each other.
"""

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._shape import Shape

__all__ = ["Rows", "row_slots"]


def row_slots(layout: StepLayout) -> Tensor:
    """The slot of each row that belongs to somebody, (rows,) int64."""
    device = layout.decode_slots.device
    chunks = [
        torch.full((span.length,), span.slot, device=device) for span in layout.spans
    ]
    return torch.cat([layout.decode_slots, *chunks])


@attrs.frozen(eq=False)
class Rows:
    """The rows of one step, the same in every layer."""

    shape: Shape
    cos: Tensor
    """(rows, 1, D / 2) float32."""
    sin: Tensor
    """The same shape."""
    places: Tensor
    """(rows * Hkv,) int64: where each head of K and V goes, in rows of the pool."""

    @classmethod
    def of(
        cls,
        layout: StepLayout,
        shape: Shape,
        tables: Tensor,
        rope: tuple[Tensor, Tensor],
    ) -> "Rows":
        """Look up angles and places. O(rows)."""
        positions = layout.positions[: layout.rows]
        cos, sin = (table[positions][:, None, :] for table in rope)
        size = shape.block_size
        blocks = tables[row_slots(layout), positions // size].long()
        heads = torch.arange(shape.kv_heads, device=positions.device)
        block_rows = (blocks[:, None] * shape.kv_heads + heads) * size
        places = (block_rows + (positions % size)[:, None]).flatten()
        return cls(shape, cos, sin, places)

    def store(self, qkv: Tensor, pool: LayerPool) -> Tensor:
        """Put K and V into the pool; the turned Q, (rows, Hq, D) float32."""
        shape = self.shape
        rows = len(self.cos)
        heads = qkv[:rows].view(rows, shape.heads + 2 * shape.kv_heads, shape.head_dim)
        turned = self._turn(heads[:, : shape.heads + shape.kv_heads].float())
        keys = turned[:, shape.heads :].reshape(-1, shape.head_dim)
        values = heads[:, shape.heads + shape.kv_heads :].reshape(-1, shape.head_dim)
        flat = (-1, shape.head_dim)
        pool.keys.view(flat).index_copy_(0, self.places, keys.to(pool.keys.dtype))
        pool.values.view(flat).index_copy_(0, self.places, values.to(pool.values.dtype))
        return turned[:, : shape.heads]

    def _turn(self, x: Tensor) -> Tensor:
        """Products and sums one by one: fused ones may round otherwise at an edge."""
        half = x.shape[-1] // 2
        first, second = x[..., :half], x[..., half:]
        turned = torch.empty_like(x)
        torch.mul(first, self.cos, out=turned[..., :half]).sub_(second * self.sin)
        torch.mul(second, self.cos, out=turned[..., half:]).add_(first * self.sin)
        return turned
