"""Tiny models with shapes that are no powers of two, and requests to them."""

from functools import cache
from typing import Any, Final

import attrs

from fairq_backends.llama import LlamaConfig, Model, random_model
from fairq_backends.sampling import SamplingParams

VOCABULARY: Final = 97

SHAPES: Final[dict[str, dict[str, Any]]] = {
    "G 3, D 16": {
        "hidden_size": 42,
        "intermediate_size": 75,
        "heads": 6,
        "kv_heads": 2,
        "head_dim": 16,
    },
    "G 1, D 64": {
        "hidden_size": 40,
        "intermediate_size": 33,
        "heads": 2,
        "kv_heads": 2,
        "head_dim": 64,
    },
    "G 4, D 80": {
        "hidden_size": 56,
        "intermediate_size": 101,
        "heads": 4,
        "kv_heads": 1,
        "head_dim": 80,
        "tied": False,
    },
}

WIDE: Final = "wide"
WIDE_SHAPE: Final[dict[str, Any]] = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "heads": 9,
    "kv_heads": 3,
    "head_dim": 64,
}
"""A layer of SmolLM2-135M. Short sums have the same bits in any product; these not."""


@cache
def model_of(shape: str) -> Model:
    """Two layers of that shape, random weights."""
    sizes = WIDE_SHAPE if shape == WIDE else SHAPES[shape]
    config = LlamaConfig(vocab_size=VOCABULARY, layers=2, context_length=512, **sizes)
    return random_model(config)


@attrs.frozen
class Asked:
    """A request, as a value."""

    prompt: tuple[int, ...]
    count: int
    """Tokens after which it is enough."""
    sampling: SamplingParams = attrs.field(factory=SamplingParams)


def text(key: int, length: int) -> tuple[int, ...]:
    """A prompt that has the same beginning as others with its key."""
    return tuple((key * 31 + n * n * 7 + n) % VOCABULARY for n in range(length))


def half_shared(shared: int, key: int, length: int) -> tuple[int, ...]:
    """A prompt whose first tokens many have, and whose last ones only its key has."""
    return text(0, shared)[:length] + text(key, length)[shared:]
