"""The Llama, once, for every device: rows of a step in, logits of the drawn rows out.

Touvron et al., *LLaMA: Open and Efficient Foundation Language Models* (2023).
"""

import attrs
import torch
from torch import Tensor

from fairq_backends.llama import LlamaWeights
from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._ops import Linear, Ops, Work
from fairq_backends.torch_paged._pool import KvPool

__all__ = ["Computed", "Network"]


@attrs.frozen(eq=False)
class Computed:
    """What came out of a step."""

    logits: Tensor
    """(R, vocabulary) float32, of ``layout.sample_rows``."""

    finite: Tensor | None = None
    """(rows,) bool: whether a row, before the head, is all numbers. None if everybody
    decodes: then every row has logits, and they tell."""


@attrs.frozen(eq=False)
class _Layer:
    """One layer, its weights in the form of the device."""

    attention_norm: Tensor
    qkv: Linear
    output: Linear
    mlp_norm: Tensor
    gated: Linear
    down: Linear


@attrs.frozen(eq=False)
class Network:
    """A Llama that is ready to run on one device."""

    ops: Ops
    embedding: Tensor
    layers: tuple[_Layer, ...]
    norm: Tensor
    head: Linear

    @classmethod
    def build(
        cls, weights: LlamaWeights, ops: Ops, *, most_rows: int, most_drawn: int
    ) -> "Network":
        """Prepare all weights.

        Args:
            weights: As loaded, on the device.
            ops: The device's operations.
            most_rows: Rows of the largest step, padding included.
            most_drawn: Rows of the largest step after which a token is drawn.
        """
        layers = tuple(
            _Layer(
                attention_norm=layer.attention_norm,
                qkv=ops.linear(layer.qkv, most_rows),
                output=ops.linear(layer.output, most_rows),
                mlp_norm=layer.mlp_norm,
                gated=ops.gated(layer.gate_up, most_rows),
                down=ops.linear(layer.down, most_rows),
            )
            for layer in weights.layers
        )
        head = ops.linear(weights.head, most_drawn)
        return cls(ops, weights.embedding, layers, weights.norm, head)

    def forward(self, layout: StepLayout, pool: KvPool) -> Computed:
        """The logits of ``layout.sample_rows``; K and V of every row are in the pool.

        A row that is no number stays one to the end: it attends to itself.
        """
        x = self.rows(layout.tokens, self.ops.prepare(layout), pool)
        finite = x[: layout.rows].isfinite().all(dim=1) if layout.spans else None
        return Computed(self._logits(x, layout), finite)

    def rows(self, tokens: Tensor, work: Work, pool: KvPool) -> Tensor:
        """Tokens (T,) to what the head takes, (T, d); K and V go into the pool."""
        ops = self.ops
        residual = torch.nn.functional.embedding(tokens, self.embedding)
        x = ops.norm(residual, self.layers[0].attention_norm)
        for index, layer in enumerate(self.layers):
            mixed = work.attend(layer.qkv(x), pool.layer(index))
            residual, x = ops.add_norm(layer.output(mixed), residual, layer.mlp_norm)
            mlp = layer.down(layer.gated(x))
            residual, x = ops.add_norm(mlp, residual, self._norm_after(index))
        return x

    def _norm_after(self, index: int) -> Tensor:
        following = index + 1
        if following < len(self.layers):
            return self.layers[following].attention_norm
        return self.norm

    def _logits(self, x: Tensor, layout: StepLayout) -> Tensor:
        drawn = len(layout.sample_rows)
        rows = x.new_zeros(self.ops.padded(drawn), x.shape[1])
        torch.index_select(x, 0, layout.sample_rows, out=rows[:drawn])
        return self.head(rows)[:drawn].float()
