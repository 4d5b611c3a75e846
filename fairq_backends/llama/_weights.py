"""The weights of a Llama model, fused for execution."""

import attrs
from torch import Tensor


@attrs.frozen(eq=False)
class LayerWeights:
    """One layer. Matrices are (out, in); all of one dtype, on one device."""

    attention_norm: Tensor
    """(d), RMSNorm before attention."""

    qkv: Tensor
    """((Hq + 2 Hkv) D, d): rows of query heads, then key heads, then value heads."""

    output: Tensor
    """(d, Hq D), after attention."""

    mlp_norm: Tensor
    """(d), RMSNorm before the MLP."""

    gate_up: Tensor
    """(2F, d): the gate first."""

    down: Tensor
    """(d, F)."""


@attrs.frozen(eq=False)
class LlamaWeights:
    """All of a model."""

    embedding: Tensor
    """(vocabulary, d)."""

    layers: tuple[LayerWeights, ...]
    """In order."""

    norm: Tensor
    """(d), the last RMSNorm."""

    head: Tensor
    """(vocabulary, d); the embedding itself when they are tied."""
