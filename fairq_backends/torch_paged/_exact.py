"""Exact attention on a CPU: rows of a step, as blocks for the canonical fold."""

from collections.abc import Sequence
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged import _canonical as canonical
from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._rows import Rows
from fairq_backends.torch_paged._shape import Shape

__all__ = ["ExactWork", "block_rows"]

CHUNK_ROWS: Final = 64
"""Rows of a block of prompt work: large enough to keep a product busy."""

LEAST_ROWS: Final = 8
"""Rows of any block at least: fewer take other kernels."""

PROBE_SEED: Final = 64


@attrs.frozen(eq=False)
class _Part:
    """Blocks of one size: those of the decodes, or those of the chunks."""

    plan: canonical.Plan
    rows: Tensor
    """(N * tokens,) int64: the row of the step at each place; 0 where padding is."""
    tokens: int
    """Rows of the step in one block."""
    height: int
    """R: rows of a block, at least tokens * G."""
    places: Tensor
    """(own,) int64: which of ``rows`` are no padding."""

    def attend(
        self, queries: Tensor, pool: LayerPool, shape: Shape, out: Tensor
    ) -> None:
        """Compute these rows and put them where they belong."""
        count = len(self.rows) // self.tokens
        used = self.tokens * shape.group
        grouped = queries[self.rows].view(
            count, self.tokens, shape.kv_heads, shape.group, shape.head_dim
        )
        padded = (count, shape.kv_heads, self.height, shape.head_dim)
        blocks = queries.new_zeros(padded)
        blocks[:, :, :used].view(
            count, shape.kv_heads, self.tokens, shape.group, shape.head_dim
        ).copy_(grouped.transpose(1, 2))
        mixed = canonical.attend(self.plan, blocks, pool.keys, pool.values)
        mixed = mixed[:, :, :used].view(
            count, shape.kv_heads, self.tokens, shape.group, shape.head_dim
        )
        flat = mixed.transpose(1, 2).reshape(-1, shape.heads, shape.head_dim)
        out[self.rows[self.places]] = flat[self.places].to(out.dtype)


@attrs.frozen(eq=False)
class ExactWork:
    """What exact attention prepares once for all layers of a step."""

    rows: Rows
    parts: tuple[_Part, ...]

    @classmethod
    def of(
        cls, layout: StepLayout, rows: Rows, tables: Tensor, heights: tuple[int, int]
    ) -> "ExactWork":
        """Cut the step into blocks. ``heights`` are those of decodes and of chunks."""
        parts = []
        if layout.decodes:
            parts.append(_decodes(layout, rows.shape, tables, heights[0]))
        if layout.spans:
            parts.append(_chunks(layout.spans, rows.shape, tables, heights[1]))
        return cls(rows, tuple(parts))

    def attend(self, qkv: Tensor, pool: LayerPool) -> Tensor:
        """Rotate Q and K, store K and V, attend: (T, ...) to (T, Hq D)."""
        shape = self.rows.shape
        queries = self.rows.store(qkv, pool) * shape.head_dim**-0.5
        out = qkv.new_zeros(len(qkv), shape.heads, shape.head_dim)
        for part in self.parts:
            part.attend(queries, pool, shape, out)
        return out.flatten(1)


def block_rows(group: int, head_dim: int) -> tuple[int, int]:
    """Heights of blocks of decodes and of chunks that agree bit for bit here.

    Tried once, like the products with weights: see ``_linear``.
    """
    low = -(-group // LEAST_ROWS) * LEAST_ROWS
    high = max(CHUNK_ROWS, low)
    return (low, high) if _agree(low, high, head_dim) else (low, low)


def _agree(low: int, high: int, head_dim: int) -> bool:
    generator = torch.Generator().manual_seed(PROBE_SEED)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    pairs = ((head_dim, canonical.SEGMENT), (canonical.SEGMENT, head_dim))
    for inner, outer in pairs:
        x, y = noise(2, high, inner), noise(2, inner, outer)
        if inner == head_dim:
            y = y.transpose(1, 2).contiguous().transpose(1, 2)
        parts = [torch.bmm(x[:, i : i + low], y) for i in range(0, high - low + 1, low)]
        tiled = torch.cat(parts, dim=1)
        if not torch.equal(tiled, torch.bmm(x, y)[:, : tiled.shape[1]]):
            return False
    return True


def _decodes(layout: StepLayout, shape: Shape, tables: Tensor, height: int) -> _Part:
    """A block for each decode: its G queries, and padding."""
    count = layout.decodes
    positions = layout.positions[:count]
    seen = positions // canonical.SEGMENT + 1
    order = torch.argsort(seen, descending=True, stable=True)
    limits = positions[order][:, None].expand(count, height)
    blocks = canonical.Blocks(
        layout.decode_slots[order], limits, tuple(seen[order].tolist())
    )
    return _part(blocks, order, shape, tables, tokens=1, height=height)


def _chunks(spans: Sequence[Span], shape: Shape, tables: Tensor, height: int) -> _Part:
    """Blocks of consecutive rows of a chunk."""
    tokens = height // shape.group
    pieces = [piece for span in spans for piece in _pieces(span, tokens)]
    pieces.sort(key=lambda piece: -(piece.start + piece.length))
    slots = torch.tensor([piece.slot for piece in pieces], device=tables.device)
    starts = torch.tensor([piece.start for piece in pieces], device=tables.device)
    lengths = torch.tensor([piece.length for piece in pieces], device=tables.device)
    firsts = torch.tensor([piece.first_row for piece in pieces], device=tables.device)
    inside = torch.arange(tokens, device=tables.device)
    own = inside < lengths[:, None]
    rows = torch.where(own, firsts[:, None] + inside, 0)
    positions = torch.where(own, starts[:, None] + inside, 0)
    limits = torch.zeros(len(pieces), height, dtype=torch.int64, device=tables.device)
    limits[:, : tokens * shape.group] = positions.repeat_interleave(shape.group, dim=1)
    seen = tuple(
        (piece.start + piece.length - 1) // canonical.SEGMENT + 1 for piece in pieces
    )
    blocks = canonical.Blocks(slots, limits, seen)
    return _part(
        blocks, rows.flatten(), shape, tables, tokens=tokens, height=height, own=own
    )


def _pieces(span: Span, tokens: int) -> list[Span]:
    return [
        Span(
            span.slot,
            span.start + done,
            min(tokens, span.length - done),
            span.first_row + done,
        )
        for done in range(0, span.length, tokens)
    ]


def _part(  # noqa: PLR0913  # two kinds of blocks end here
    blocks: canonical.Blocks,
    rows: Tensor,
    shape: Shape,
    tables: Tensor,
    *,
    tokens: int,
    height: int,
    own: Tensor | None = None,
) -> _Part:
    plan = canonical.Plan.of(
        blocks,
        tables,
        kv_heads=shape.kv_heads,
        block_size=shape.block_size,
        size=shape.kv_heads * (height + 2 * canonical.SEGMENT) * shape.head_dim,
    )
    places = (
        torch.arange(len(rows), device=rows.device)
        if own is None
        else own.flatten().nonzero().flatten()
    )
    return _Part(plan, rows, tokens, height, places)
