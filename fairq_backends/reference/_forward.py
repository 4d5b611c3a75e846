"""The model: one text in, logits of every position out, nothing kept.

Sources: H. Touvron et al., "LLaMA", 2023 (the architecture); B. Zhang and R. Sennrich,
2019 (RMSNorm); N. Shazeer, 2020 (SwiGLU); J. Su et al., 2021 (rotary embedding);
J. Ainslie et al., 2023 (grouped-query attention).
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import silu

from fairq_backends.llama import LayerWeights, LlamaConfig, LlamaWeights, rope_table


def forward(weights: LlamaWeights, config: LlamaConfig, tokens: Tensor) -> Tensor:
    """Logits after every token of one text.

    Arithmetic is in fp32, or in fp64 if the weights are.

    Args:
        weights: Of the model, on any device.
        config: Its shape.
        tokens: int64 (T), T >= 1; token t has position t.

    Returns:
        (T, vocabulary) in the dtype of the arithmetic; row t follows token t.

    Cost: O(T**2) time and memory for attention.
    """
    return _linear(last_hidden(weights, config, tokens), weights.head)


def last_hidden(weights: LlamaWeights, config: LlamaConfig, tokens: Tensor) -> Tensor:
    """What the head is applied to: (T, d)."""
    rope = rope_table(config, len(tokens), weights.embedding.device)
    hidden = _wide(weights.embedding[tokens])
    for layer in weights.layers:
        normed = _norm(hidden, layer.attention_norm, config.norm_eps)
        hidden = hidden + _attention(layer, config, normed, rope)
        normed = _norm(hidden, layer.mlp_norm, config.norm_eps)
        hidden = hidden + _mlp(layer, normed)
    return _norm(hidden, weights.norm, config.norm_eps)


def _attention(
    layer: LayerWeights, config: LlamaConfig, x: Tensor, rope: tuple[Tensor, Tensor]
) -> Tensor:
    """Causal softmax attention, as written: (T, d)."""
    length = len(x)
    heads, kv_heads = config.heads, config.kv_heads
    # Rows of all heads: queries, then keys, then values; (heads, T, D) each.
    rows = _linear(x, layer.qkv).reshape(length, -1, config.head_dim).transpose(0, 1)
    queries = _rotated(rows[:heads], rope)
    keys = _rotated(rows[heads : heads + kv_heads], rope)
    values = rows[heads + kv_heads :]
    # G = Hq / Hkv neighbouring query heads share a key and a value head.
    keys = keys.repeat_interleave(heads // kv_heads, dim=0)
    values = values.repeat_interleave(heads // kv_heads, dim=0)
    scores = queries @ keys.transpose(1, 2) / math.sqrt(config.head_dim)
    later = torch.ones_like(scores[0], dtype=torch.bool).triu(diagonal=1)
    weights = scores.masked_fill(later, -math.inf).softmax(dim=2)
    mixed = (weights @ values).transpose(0, 1).reshape(length, -1)
    return _linear(mixed, layer.output)


def _rotated(x: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Element i of a head is turned with element i + D/2, by the position's angle."""
    cos, sin = rope
    first, second = x.chunk(2, dim=2)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=2)


def _mlp(layer: LayerWeights, x: Tensor) -> Tensor:
    gate, up = _linear(x, layer.gate_up).chunk(2, dim=1)
    return _linear(silu(gate) * up, layer.down)


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    mean_square = x.square().mean(dim=1, keepdim=True)
    return x * torch.rsqrt(mean_square + eps) * _wide(weight)


def _linear(x: Tensor, weight: Tensor) -> Tensor:
    return x @ _wide(weight).T


def _wide(tensor: Tensor) -> Tensor:
    """In fp32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
