"""Products with a weight on a CPU: the quickest, or the same bits in any batch.

A product is not bound to give a row the same bits in a batch of 3 and of 300: libraries
choose another kernel, and with it another order of additions, by the number of rows.
That choice sees shapes only, never numbers. So the exact form tries, once, which
numbers of rows agree on this machine with these weights, and uses no others.
"""

from collections.abc import Callable
from functools import cache
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq_backends.torch_paged._ops import Linear

__all__ = ["TILE_ROWS", "ExactLinear", "agreeing_sizes", "gated_product", "product"]

TILE_ROWS: Final = 8
"""Rows of the smallest product in exact mode. One row takes other kernels than many;
8 cost hardly more than 4 where it was measured (AVX-512)."""

PROBE_SEED: Final = 20_260


def product(weight: Tensor) -> Linear:
    """The quickest product with a weight (N, K) that Torch has on this machine.

    oneDNN wants weights in an order of its own; given once, and not at each call, it is
    1.2 to 2.4 times as fast (batches of 32 rows). That function of Torch is what its
    compiler emits; where it is missing, ``torch.nn.functional.linear`` serves.
    """
    if not _packs(weight):
        return lambda x: torch.nn.functional.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, None, "none", [], "")


def gated_product(weight: Tensor) -> Linear:
    """silu(x @ gate^T) * (x @ up^T), with the weight (2 F, K) of both, gate first.

    oneDNN applies the silu and the product while its results are still in registers.
    Shazeer, *GLU Variants Improve Transformer* (2020).
    """
    if not _packs(weight):
        return lambda x: _swiglu(torch.nn.functional.linear(x, weight))
    gate, up = map(torch.ops.mkldnn._reorder_linear_weight, weight.chunk(2))
    multiply = torch.ops.mkldnn._linear_pointwise

    def apply(x: Tensor) -> Tensor:
        gates: Tensor = multiply(x, gate, None, "swish", [], "")
        result: Tensor = multiply.binary(x, gates, up, None, "mul")
        return result

    return apply


def _swiglu(gate_up: Tensor) -> Tensor:
    """From (T, 2 F), gate first, to (T, F).

    Not with Torch's own silu: in float32 its last bit depends on where in memory a
    number stands. exp and the four basic operations do not have that.
    """
    gate, up = gate_up.float().chunk(2, dim=-1)
    denominator = gate.neg().exp_().add_(1)
    return torch.div(gate, denominator).mul_(up).to(gate_up.dtype)


def _packs(weight: Tensor) -> bool:
    return weight.device.type == "cpu" and _packs_type(weight.dtype)


@cache
def _packs_type(dtype: torch.dtype) -> bool:
    """Whether this build of Torch multiplies packed weights of that type.

    Tried once: neither the functions nor what the processor can do are documented.
    """
    try:
        ones = torch.ones(8, 8, dtype=dtype)
        packed = torch.ops.mkldnn._reorder_linear_weight(ones)
        torch.ops.mkldnn._linear_pointwise(ones, packed, None, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return True


@attrs.frozen(eq=False)
class ExactLinear:
    """A product whose rows do not depend on each other's number or place."""

    multiply: Callable[[Tensor], Tensor]
    sizes: tuple[int, ...]
    """Numbers of rows that agree, the largest first; the last is the smallest tile."""

    def __call__(self, x: Tensor) -> Tensor:
        """(T, K) to (T, N); T is a multiple of ``TILE_ROWS``."""
        if len(x) in self.sizes:
            return self.multiply(x)
        if not len(x):
            return self.multiply(x.new_zeros(self.sizes[-1], x.shape[1]))[:0]
        return torch.cat([self.multiply(part) for part in self._parts(x)])

    def _parts(self, x: Tensor) -> list[Tensor]:
        parts, first = [], 0
        for size in self.sizes:
            while len(x) - first >= size:
                parts.append(x[first : first + size])
                first += size
        return parts


def agreeing_sizes(
    multiply: Callable[[Tensor], Tensor], weight: Tensor, most_rows: int
) -> tuple[int, ...]:
    """Numbers of rows for which this product gives each row the same bits.

    The yardstick is a product of ``TILE_ROWS`` rows, if it does not care which of them
    a row is; or of a single row, which has no neighbours. Random numbers tell orders of
    addition apart: that thousands of sums agree by chance is out of the question.

    Returns:
        Sizes, the largest first; each is ``TILE_ROWS`` times a power of two, up to the
        first beyond ``most_rows``; at the end ``TILE_ROWS`` or 1.
    """
    sizes = _powers(most_rows)
    x = _noise(sizes[0] + TILE_ROWS, weight)
    rows = _by_tiles(multiply, x)

    def agrees(size: int, results: Tensor) -> bool:
        # From the third row on, so that rows stand in other places than before.
        return torch.equal(results, rows[3 : 3 + size])

    if not agrees(sizes[0], _by_tiles(multiply, x[3 : 3 + sizes[0]])):
        return (1,)
    return tuple(size for size in sizes if agrees(size, multiply(x[3 : 3 + size])))


def _powers(most_rows: int) -> list[int]:
    sizes = [TILE_ROWS]
    while sizes[-1] < most_rows:
        sizes.append(2 * sizes[-1])
    return sizes[::-1]


def _noise(rows: int, weight: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(PROBE_SEED)
    x = torch.randn(rows, weight.shape[1], generator=generator)
    return x.to(weight.dtype)


def _by_tiles(multiply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    starts = range(0, len(x), TILE_ROWS)
    return torch.cat([multiply(x[first : first + TILE_ROWS]) for first in starts])
