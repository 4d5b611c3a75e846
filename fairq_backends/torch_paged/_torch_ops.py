"""The operations in plain Torch: what a CPU runs, in both modes."""

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged._exact import ExactWork, block_rows
from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._linear import (
    TILE_ROWS,
    ExactLinear,
    agreeing_sizes,
    gated_product,
    product,
)
from fairq_backends.torch_paged._ops import Linear, Work
from fairq_backends.torch_paged._rows import Rows
from fairq_backends.torch_paged._sdpa import FastWork
from fairq_backends.torch_paged._shape import Shape

__all__ = ["ExactTorchOps", "FastTorchOps"]


@attrs.frozen(eq=False, kw_only=True)
class _TorchOps:
    """What both modes share."""

    shape: Shape
    norm_eps: float
    rope: tuple[Tensor, Tensor]
    """cos and sin, (longest context, D / 2) float32."""
    tables: Tensor
    """(slots, most blocks + 1) int32: the standing block tables."""

    def norm(self, x: Tensor, weight: Tensor) -> Tensor:
        """RMSNorm of each row, summed in float32 (Torch does that by itself)."""
        return torch.nn.functional.rms_norm(x, weight.shape, weight, self.norm_eps)

    def add_norm(
        self, x: Tensor, residual: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The residual plus x, in place, and its RMSNorm."""
        residual.add_(x)
        return residual, self.norm(residual, weight)

    def _rows(self, layout: StepLayout) -> Rows:
        return Rows.of(layout, self.shape, self.tables, self.rope)


@attrs.frozen(eq=False, kw_only=True)
class ExactTorchOps(_TorchOps):
    """Every row has the same bits whatever else is in the step."""

    heights: tuple[int, int]
    """Rows of a block of decodes and of one of chunks."""
    sizes: dict[tuple[str | int, ...], tuple[int, ...]] = attrs.field(factory=dict)
    """What was found out about products, by kind and shape."""

    @classmethod
    def make(
        cls, shape: Shape, norm_eps: float, rope: tuple[Tensor, Tensor], tables: Tensor
    ) -> "ExactTorchOps":
        """Find out which sizes of blocks agree on this machine."""
        heights = block_rows(shape.group, shape.head_dim)
        return cls(
            shape=shape, norm_eps=norm_eps, rope=rope, tables=tables, heights=heights
        )

    def linear(self, weight: Tensor, most_rows: int) -> Linear:
        """A product whose rows do not depend on each other.

        The first of a shape costs two products of each size, to find out which agree.
        """
        return self._probed(product(weight), weight, ("linear", most_rows))

    def gated(self, weight: Tensor, most_rows: int) -> Linear:
        """SwiGLU, probed like a product."""
        return self._probed(gated_product(weight), weight, ("gated", most_rows))

    def _probed(
        self, multiply: Linear, weight: Tensor, kind: tuple[str, int]
    ) -> Linear:
        key = (*kind, *weight.shape)
        if key not in self.sizes:
            self.sizes[key] = agreeing_sizes(multiply, weight, kind[1])
        return ExactLinear(multiply, self.sizes[key])

    def padded(self, rows: int) -> int:
        """Whole tiles: see ``ExactLinear``."""
        return -(-rows // TILE_ROWS) * TILE_ROWS

    def prepare(self, layout: StepLayout) -> Work:
        """The canonical fold."""
        return ExactWork.of(layout, self._rows(layout), self.tables, self.heights)


@attrs.frozen(eq=False, kw_only=True)
class FastTorchOps(_TorchOps):
    """Whatever is quickest; last bits depend on the batch."""

    @classmethod
    def make(
        cls, shape: Shape, norm_eps: float, rope: tuple[Tensor, Tensor], tables: Tensor
    ) -> "FastTorchOps":
        """Nothing to find out."""
        return cls(shape=shape, norm_eps=norm_eps, rope=rope, tables=tables)

    def linear(self, weight: Tensor, most_rows: int) -> Linear:  # noqa: ARG002  # of the protocol
        """The quickest product."""
        return product(weight)

    def gated(self, weight: Tensor, most_rows: int) -> Linear:  # noqa: ARG002  # as above
        """The quickest SwiGLU."""
        return gated_product(weight)

    def padded(self, rows: int) -> int:
        """As many as there are."""
        return rows

    def prepare(self, layout: StepLayout) -> Work:
        """Torch's own attention on gathered K and V."""
        return FastWork.of(layout, self._rows(layout), self.tables)
