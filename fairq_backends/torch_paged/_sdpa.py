"""Fast attention on a CPU: Torch's own, on K and V gathered from their blocks."""

import attrs
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._rows import Rows
from fairq_backends.torch_paged._shape import Shape

__all__ = ["FastWork"]


@attrs.frozen(eq=False)
class _Context:
    """Where the K and V of some sequences are, up to the longest of them."""

    index: Tensor
    """(N * Hkv * blocks,) int64: blocks of one head, as the pool counts them."""
    count: int
    """N."""

    @classmethod
    def of(cls, tables: Tensor, length: int, shape: Shape) -> "_Context":
        """The first ``length`` positions of each row of ``tables``."""
        ids = tables[:, : -(-length // shape.block_size)].long()
        heads = torch.arange(shape.kv_heads, device=tables.device)[:, None]
        return cls((ids[:, None, :] * shape.kv_heads + heads).flatten(), len(tables))

    def gather(self, pool: Tensor, shape: Shape) -> Tensor:
        """(N, Hkv, positions, D), whole blocks."""
        flat = pool.view(-1, shape.block_size * shape.head_dim)
        found = flat.index_select(0, self.index)
        return found.view(self.count, shape.kv_heads, -1, shape.head_dim)


@attrs.frozen(eq=False)
class _Decodes:
    """One query position for each of many sequences, padded to the longest."""

    context: _Context
    mask: Tensor
    """(B, 1, 1, positions) bool: what is seen."""

    def attend(self, queries: Tensor, pool: LayerPool, shape: Shape) -> Tensor:
        """(B, Hq, D) to (B, Hq, D). The G queries of a KV head share its keys."""
        grouped = queries.view(-1, shape.kv_heads, shape.group, shape.head_dim)
        keys = self.context.gather(pool.keys, shape)
        values = self.context.gather(pool.values, shape)
        return sdpa(grouped, keys, values, attn_mask=self.mask).view(queries.shape)


@attrs.frozen(eq=False)
class _Chunk:
    """Consecutive queries of one sequence."""

    span: Span
    context: _Context
    mask: Tensor | None
    """(length, positions) bool; None when the chunk is the whole context."""

    def attend(self, queries: Tensor, pool: LayerPool, shape: Shape) -> Tensor:
        """(length, Hq, D) to (length, Hq, D)."""
        first, length = self.span.first_row, self.span.length
        rows = queries[first : first + length].transpose(0, 1)[None]
        keys = self.context.gather(pool.keys, shape)
        values = self.context.gather(pool.values, shape)
        if self.mask is None:
            keys, values = keys[:, :, :length], values[:, :, :length]
        mixed = sdpa(
            rows,
            keys,
            values,
            attn_mask=self.mask,
            is_causal=self.mask is None,
            enable_gqa=shape.group > 1,
        )
        return mixed[0].transpose(0, 1)


@attrs.frozen(eq=False)
class FastWork:
    """What fast attention prepares once for all layers of a step."""

    rows: Rows
    decodes: _Decodes | None
    chunks: tuple[_Chunk, ...]

    @classmethod
    def of(cls, layout: StepLayout, rows: Rows, tables: Tensor) -> "FastWork":
        """Build indices and masks. O(rows + blocks read)."""
        shape = rows.shape
        decodes = _decodes(layout, shape, tables) if layout.decodes else None
        chunks = tuple(_chunk(span, shape, tables) for span in layout.spans)
        return cls(rows, decodes, chunks)

    def attend(self, qkv: Tensor, pool: LayerPool) -> Tensor:
        """Rotate Q and K, store K and V, attend: (T, ...) to (T, Hq D)."""
        shape = self.rows.shape
        queries = self.rows.store(qkv, pool).to(qkv.dtype)
        mixed = torch.empty_like(queries)
        if self.decodes is not None:
            count = self.decodes.context.count
            mixed[:count] = self.decodes.attend(queries[:count], pool, shape)
        for chunk in self.chunks:
            first = chunk.span.first_row
            rows = mixed[first : first + chunk.span.length]
            rows.copy_(chunk.attend(queries, pool, shape))
        return mixed.flatten(1)


def _decodes(layout: StepLayout, shape: Shape, tables: Tensor) -> _Decodes:
    positions = layout.positions[: layout.decodes]
    context = _Context.of(tables[layout.decode_slots], layout.longest, shape)
    seen = _blocks(layout.longest, shape)
    inside = torch.arange(seen, device=tables.device)
    return _Decodes(context, (inside <= positions[:, None])[:, None, None])


def _chunk(span: Span, shape: Shape, tables: Tensor) -> _Chunk:
    end = span.start + span.length
    context = _Context.of(tables[span.slot : span.slot + 1], end, shape)
    if not span.start:
        return _Chunk(span, context, None)
    inside = torch.arange(_blocks(end, shape), device=tables.device)
    queries = torch.arange(span.start, end, device=tables.device)
    return _Chunk(span, context, inside <= queries[:, None])


def _blocks(length: int, shape: Shape) -> int:
    """Positions, rounded up to whole blocks."""
    return -(-length // shape.block_size) * shape.block_size
