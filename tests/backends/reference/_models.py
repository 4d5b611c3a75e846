"""Tiny models of odd shapes, here and as ``transformers`` builds them."""

from typing import Any, Final

from fairq_backends.llama import LlamaConfig, Model, Rope, random_model

SIZES: Final[dict[str, Any]] = {
    "vocab_size": 97,
    "hidden_size": 42,
    "intermediate_size": 80,
    "layers": 2,
    "heads": 6,
    "kv_heads": 2,
    "head_dim": 16,
}
"""head_dim is not hidden_size / heads, and nothing is a power of two."""


def tiny_config(**changes: object) -> LlamaConfig:
    fields: dict[str, Any] = {**SIZES, "context_length": 512, **changes}
    return LlamaConfig(**fields)


def tiny_model(seed: int = 0, **changes: object) -> Model:
    return random_model(tiny_config(**changes), seed=seed)


ROPES: Final = {
    "default": Rope(theta=10_000.0),
    "linear": Rope(theta=500.0, kind="linear", factor=3.0),
    "llama3": Rope(
        theta=500_000.0,
        kind="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_context=64,
    ),
}
