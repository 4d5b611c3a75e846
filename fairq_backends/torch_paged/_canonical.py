"""Canonical attention in plain Torch: one order of additions for every schedule.

The row of a query is a left fold over *segments* of the context, anchored at position
0; each segment is an ordinary softmax over its positions. How a prompt was cut into
chunks, who else is in the batch and how blocks lie in memory do not occur in that
definition, so they cannot occur in the bits. What is masked is an exact nothing: its
weight is 0 and its value is finite.

The merge of partial softmaxes is that of Milakov and Gimelshein, *Online normalizer
calculation for softmax* (2018).
"""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import attrs
import torch
from torch import Tensor

__all__ = ["SEGMENT", "Blocks", "Plan", "attend"]

SEGMENT: Final = 64
"""Positions of a segment. A constant: another one gives other bits."""

FLOATS_AT_ONCE: Final = 1 << 23
"""Scores and partial results held at a time, roughly, in numbers."""

LOWEST: Final = -1e30
"""Stands for the maximum of a segment in which a row sees nothing."""


@attrs.frozen(eq=False)
class Blocks:
    """Rows that are computed together: R queries that share a KV head and a table."""

    slots: Tensor
    """(N,) int64: whose table."""

    limits: Tensor
    """(N, R) int64: the last position each row sees; 0 where padding is."""

    segments: tuple[int, ...]
    """(N,) how many segments each block sees; descending."""


@attrs.frozen(eq=False)
class _Pass:
    """Consecutive segments of the fold that are computed at once."""

    blocks: Tensor
    """(pairs,) int64: the block of each (segment, block) pair, segment by segment."""

    gather: Tensor
    """(pairs * Hkv * units,) int64: where their keys are, as units of the pool."""

    bias: Tensor
    """(pairs, 1, R, SEGMENT) float32: 0 where a row sees a position, else -inf."""

    widths: tuple[int, ...]
    """Pairs of each segment: its blocks are 0 .. width - 1."""


@attrs.frozen(eq=False)
class Plan:
    """What attention needs to know about a step; the same in every layer."""

    passes: tuple[_Pass, ...]
    unit: int
    """Positions gathered as one piece: they lie side by side in any table."""

    @classmethod
    def of(
        cls,
        blocks: Blocks,
        tables: Tensor,
        *,
        kv_heads: int,
        block_size: int,
        size: int,
    ) -> "Plan":
        """Plan the segments of these blocks.

        Args:
            blocks: Who sees what.
            tables: (slots, most blocks) int: block ids, the null block beyond the end.
            kv_heads: Hkv.
            block_size: Positions of a block.
            size: Numbers held for each pair, to bound the memory of a pass.
        """
        unit = _unit(block_size)
        widths = _widths(blocks.segments)
        passes = []
        for first, last in _cuts(widths, max(1, FLOATS_AT_ONCE // size)):
            part = widths[first:last]
            pairs = _pairs(part, first, tables.device)
            gather = _units(blocks, pairs, tables, kv_heads, (block_size, unit))
            bias = _bias(blocks, pairs)
            passes.append(_Pass(pairs[0], gather, bias, tuple(part)))
        return cls(tuple(passes), unit)


def _unit(block_size: int) -> int:
    """The largest piece that divides a block and a segment."""
    a, b = block_size, SEGMENT
    while b:
        a, b = b, a % b
    return a


def _widths(segments: Sequence[int]) -> list[int]:
    """How many blocks see each segment; blocks are sorted, so these are the first."""
    counts = Counter(segments)  # no loop over blocks in Python
    held = accumulate(counts[seen] for seen in range(segments[0], 0, -1))
    return list(held)[::-1]


def _cuts(widths: Sequence[int], most: int) -> list[tuple[int, int]]:
    """Cut the segments into passes of at most so many pairs, or one segment."""
    cuts, first, held = [], 0, 0
    for index, width in enumerate(widths):
        if held and held + width > most:
            cuts.append((first, index))
            first, held = index, 0
        held += width
    return [*cuts, (first, len(widths))]


def _pairs(
    widths: Sequence[int], first: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The block and the segment of each pair."""
    counts = torch.tensor(widths, device=device)
    segments = torch.arange(first, first + len(widths), device=device)
    segment = segments.repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    block = torch.arange(len(segment), device=device)
    return block - starts.repeat_interleave(counts), segment


def _units(
    blocks: Blocks,
    pairs: tuple[Tensor, Tensor],
    tables: Tensor,
    kv_heads: int,
    sizes: tuple[int, int],
) -> Tensor:
    """Indices of the units of each pair, head by head: (pairs, Hkv, SEGMENT / unit)."""
    block_size, unit = sizes
    block, segment = pairs
    per_block = block_size // unit
    units = torch.arange(SEGMENT // unit, device=tables.device)
    place = segment[:, None] * (SEGMENT // unit) + units
    # A segment may reach over the end of a table; its last column is the null block.
    column = (place // per_block).clamp_max(tables.shape[1] - 1)
    ids = tables[blocks.slots[block][:, None], column].long()
    heads = torch.arange(kv_heads, device=tables.device)[:, None]
    base = (ids[:, None, :] * kv_heads + heads) * per_block
    return (base + (place % per_block)[:, None, :]).flatten()


def _bias(blocks: Blocks, pairs: tuple[Tensor, Tensor]) -> Tensor:
    block, segment = pairs
    positions = torch.arange(SEGMENT, device=block.device) + segment[:, None] * SEGMENT
    hidden = positions[:, None, None, :] > blocks.limits[block][:, None, :, None]
    bias = torch.zeros(hidden.shape, device=block.device)
    return bias.masked_fill_(hidden, -torch.inf)


def attend(plan: Plan, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of blocks of rows over the paged context.

    Args:
        plan: Of this step.
        queries: (N, Hkv, R, D) float32, scaled already.
        keys: (blocks + 1, Hkv, block_size, D), the pool of one layer.
        values: The same shape.

    Returns:
        (N, Hkv, R, D) float32. Costs two products of R x D x SEGMENT for each pair.
    """
    state: _State | None = None
    for each in plan.passes:
        partial = _partials(each, plan.unit, queries, keys, values)
        first = 0
        for width in each.widths:
            piece = tuple(part[first : first + width] for part in partial)
            state = _State(*piece) if state is None else state.merge(*piece)
            first += width
    assert state is not None  # noqa: S101  # a row sees at least its own position
    return state.total / state.weight


def _partials(
    each: _Pass, unit: int, queries: Tensor, keys: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Maximum, weight and weighted sum of each pair, on its own."""
    _, heads, rows, dim = queries.shape
    pairs = len(each.blocks)
    key = _gathered(keys, each.gather, unit, pairs * heads)
    scores = torch.bmm(
        queries.index_select(0, each.blocks).view(-1, rows, dim), key.transpose(1, 2)
    ).view(pairs, heads, rows, SEGMENT)
    scores += each.bias
    top = scores.amax(-1, keepdim=True).clamp_min_(LOWEST)
    weights = scores.sub_(top).exp_()
    value = _gathered(values, each.gather, unit, pairs * heads)
    total = torch.bmm(weights.view(-1, rows, SEGMENT), value)
    return top, weights.sum(-1, keepdim=True), total.view(pairs, heads, rows, dim)


def _gathered(pool: Tensor, index: Tensor, unit: int, batch: int) -> Tensor:
    """(batch, SEGMENT, D) float32 out of the pool."""
    dim = pool.shape[-1]
    return pool.view(-1, unit * dim).index_select(0, index).view(batch, -1, dim).float()


@attrs.define(eq=False)
class _State:
    """The fold so far, for the blocks that see this far."""

    top: Tensor
    weight: Tensor
    total: Tensor

    def merge(self, top: Tensor, weight: Tensor, total: Tensor) -> "_State":
        """Take one more segment of the first blocks into account, in place."""
        width = len(top)
        mine, new = self.top[:width], torch.maximum(self.top[:width], top)
        old_factor, new_factor = (mine - new).exp_(), (top - new).exp_()
        self.weight[:width].mul_(old_factor).add_(weight.mul_(new_factor))
        self.total[:width].mul_(old_factor).add_(total.mul_(new_factor))
        mine.copy_(new)
        return self
