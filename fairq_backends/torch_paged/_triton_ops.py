"""The operations with Triton kernels: what an NVIDIA GPU runs, in both modes.

Attention and the pointwise operations are the same kernels in both modes, and they are
batch-invariant by construction. The modes differ in the products with weights: exact
takes a Triton product whose order depends on the weight alone, fast takes cuBLAS.
"""

from collections.abc import Callable, Sequence
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._ops import Linear, Work
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._rows import row_slots
from fairq_backends.torch_paged._shape import Shape
from fairq_backends.triton_kernels import (
    SEGMENT,
    add_norm,
    attend_partial,
    attend_prefill,
    fold,
    matmul,
    rope_store,
    swiglu,
)
from fairq_backends.triton_kernels.work import (
    PartialWork,
    PrefillSpan,
    States,
    decode_work,
    prefill_items,
)

__all__ = ["DecodeWork", "TritonOps", "TritonWork"]

PREFILL_ROWS: Final = 128
"""Rows of a program that computes a chunk; fewer cannot keep wgmma busy."""


@attrs.frozen(eq=False)
class DecodeWork:
    """The lists of a batch that decodes; they last until somebody joins or leaves."""

    slots: Tensor
    """(B,) int64, the very tensor for which the lists were made."""
    covered: int
    """Positions that the longest of these contexts may have."""
    lists: PartialWork
    states: States

    @classmethod
    def of(
        cls, slots: Tensor, lengths: Tensor, longest: int, shape: Shape
    ) -> "DecodeWork":
        """Make lists on the device. A dozen small launches, and one wait for it.

        Args:
            slots: (B,) int64: whose.
            lengths: (B,) int64: positions to cover for each.
            longest: The largest of them.
            shape: Heads of the model.
        """
        lists = decode_work(slots, lengths)
        states = States.make(lists.slots, shape.heads, shape.head_dim, slots.device)
        return cls(slots, longest, lists, states)

    @classmethod
    def lasting(cls, layout: StepLayout, shape: Shape) -> "DecodeWork":
        """Lists that serve this step, and as many more as a segment is long."""
        lengths = layout.positions[: layout.decodes] + 1 + SEGMENT
        longest = layout.longest + SEGMENT
        return cls.of(layout.decode_slots, lengths, longest, shape)

    def serves(self, layout: StepLayout) -> bool:
        """Whether these lists are those of this step."""
        return self.slots is layout.decode_slots and layout.longest <= self.covered

    def attend(
        self, q: Tensor, pool: LayerPool, tables: Tensor, positions: Tensor, out: Tensor
    ) -> None:
        """Attention of the first rows of a step."""
        items, folds = self.lists.items, self.lists.folds
        states = (self.states.maxima, self.states.sums, self.states.states)
        attend_partial(
            q,
            pool.keys,
            pool.values,
            tables,
            positions,
            items.items,
            items.count,
            self.lists.members,
            *states,
            program_rows=program_rows(q.shape[1] // pool.keys.shape[1]),
        )
        fold(positions, folds.items, folds.count, *states, out)


def program_rows(group: int) -> int:
    """Rows of a program that computes decodes: the smallest that holds G."""
    return next(rows for rows in (16, 64, 128) if rows >= group)


@attrs.frozen(eq=False)
class TritonWork:
    """What attention prepares once for all layers of a step."""

    ops: "TritonOps"
    positions: Tensor
    """(T,) int64."""
    places: Tensor
    """(T,) int64: block * block_size + offset; -1 where padding is."""
    decodes: DecodeWork | None
    chunks: tuple[Tensor, Tensor] | None
    """Items and their number."""

    def attend(self, qkv: Tensor, pool: LayerPool) -> Tensor:
        """Rotate Q and K, store K and V, attend: (T, ...) to (T, Hq D)."""
        ops, shape = self.ops, self.ops.shape
        q = qkv.new_empty(len(qkv), shape.heads, shape.head_dim)
        rope_store(
            qkv, *ops.rope, self.positions, self.places, q, pool.keys, pool.values
        )
        # Rows of padding belong to no item, and what is in them goes nowhere; but a
        # product that reads NaN there would be slower on some machines.
        out = torch.zeros_like(q)
        if self.decodes is not None:
            self.decodes.attend(q, pool, ops.tables, self.positions, out)
        if self.chunks is not None:
            attend_prefill(
                q,
                pool.keys,
                pool.values,
                ops.tables,
                *self.chunks,
                out,
                program_rows=ops.prefill_rows,
            )
        return out.view(len(out), -1)


@attrs.define(eq=False, kw_only=True)
class TritonOps:
    """The kernels, with what is the same in every step."""

    shape: Shape
    norm_eps: float
    rope: tuple[Tensor, Tensor]
    """cos and sin, (longest context, D / 2) float32."""
    tables: Tensor
    """(slots, most blocks + 1) int32: the standing block tables."""
    exact: bool
    prefill_rows: int = PREFILL_ROWS
    """Rows of a program that computes a chunk; changes no bit."""
    _decodes: DecodeWork | None = None

    def linear(self, weight: Tensor, most_rows: int) -> Linear:  # noqa: ARG002  # of the protocol
        """The product with a weight."""
        if self.exact:
            return lambda x: matmul(x, weight)
        return lambda x: torch.nn.functional.linear(x, weight)

    def gated(self, weight: Tensor, most_rows: int) -> Linear:
        """SwiGLU."""
        both: Callable[[Tensor], Tensor] = self.linear(weight, most_rows)
        return lambda x: swiglu(both(x))

    def padded(self, rows: int) -> int:
        """As many as there are."""
        return rows

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm of each row."""
        return add_norm(x, None, weight, self.norm_eps)[1]

    def add_norm(
        self, x: Tensor, residual: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The residual plus x, in place, and its RMSNorm."""
        return add_norm(x, residual, weight, self.norm_eps)

    def prepare(self, layout: StepLayout) -> Work:
        """Lists of who computes what. Those of decodes are kept from step to step."""
        if not layout.decodes:
            decodes = None
        elif self._decodes is not None and self._decodes.serves(layout):
            decodes = self._decodes
        else:
            decodes = DecodeWork.lasting(layout, self.shape)
            self._decodes = decodes
        chunks = self._chunks(layout.spans) if layout.spans else None
        return TritonWork(self, layout.positions, self._places(layout), decodes, chunks)

    def _places(self, layout: StepLayout) -> Tensor:
        own = layout.positions[: layout.rows]
        size = self.shape.block_size
        blocks = self.tables[row_slots(layout), own // size].long()
        places = blocks * size + own % size
        return torch.cat([places, places.new_full((layout.padding,), -1)])

    def _chunks(self, spans: Sequence[Span]) -> tuple[Tensor, Tensor]:
        pieces = [
            PrefillSpan(span.slot, span.start, span.length, span.first_row)
            for span in spans
        ]
        items = prefill_items(pieces, self.prefill_rows // self.shape.group)
        device = self.tables.device
        listed = torch.tensor(items, dtype=torch.int32).to(device)
        return listed, torch.tensor([len(items)], dtype=torch.int32).to(device)
