"""What a device must be able to do for a Llama: the seam between model and kernels.

``_forward`` is written once, against this protocol. ``TorchOps`` implements it with
plain Torch, ``TritonOps`` with the kernels of ``fairq_backends.triton_kernels``.
"""

from typing import Protocol

from torch import Tensor

from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._pool import LayerPool

__all__ = ["Linear", "Ops", "Work"]


class Linear(Protocol):
    """One weight, in the form that its device likes."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """(T, K) to (T, N)."""
        ...


class Work(Protocol):
    """What a device prepares once for all layers of a step."""

    def attend(self, qkv: Tensor, pool: LayerPool, /) -> Tensor:
        """Rotate Q and K, store K and V, attend: (T, (Hq + 2 Hkv) D) to (T, Hq D)."""
        ...


class Ops(Protocol):
    """The operations of one device in one mode."""

    def linear(self, weight: Tensor, most_rows: int, /) -> Linear:
        """Prepare a weight (N, K) for products with up to ``most_rows`` rows."""
        ...

    def gated(self, weight: Tensor, most_rows: int, /) -> Linear:
        """SwiGLU, silu(gate) * up: (T, d) to (T, F).

        The weight (2 F, d) is that of both, gate first.
        """
        ...

    def padded(self, rows: int, /) -> int:
        """How many rows a step should have that needs ``rows`` of them."""
        ...

    def prepare(self, layout: StepLayout, /) -> Work:
        """What attention needs to know about this step."""
        ...

    def norm(self, x: Tensor, weight: Tensor, /) -> Tensor:
        """RMSNorm of each row, summed in float32."""
        ...

    def add_norm(
        self, x: Tensor, residual: Tensor, weight: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """The residual plus x, and its RMSNorm. May reuse the residual's memory."""
        ...
