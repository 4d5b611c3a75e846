"""What a model is made of: the parts that files store one by one, and their shapes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from fairq_backends.llama._config import LlamaConfig


class Source(Protocol):
    """Weights in files, by the names they have there."""

    @property
    def path(self) -> Path:
        """The file or folder, for messages."""

    @property
    def names(self) -> Mapping[str, str]:
        """The file's name of each part; a layer's have ``{}`` for its number."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors, as torch would have them."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Tensors, by the end of their names, that say nothing of their own."""

    def read(self, part: str, name: str) -> Tensor:
        """One tensor on the CPU, rows as half-split rotation wants them."""


def layer_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each part of a layer."""
    d, inner = config.hidden_size, config.intermediate_size
    queries = config.heads * config.head_dim
    keys = config.kv_heads * config.head_dim
    return {
        "attention_norm": (d,),
        "q": (queries, d),
        "k": (keys, d),
        "v": (keys, d),
        "output": (d, queries),
        "mlp_norm": (d,),
        "gate": (inner, d),
        "up": (inner, d),
        "down": (d, inner),
    }


def outer_shapes(config: LlamaConfig) -> dict[str, tuple[int, ...]]:
    """Shape of each part that is in no layer."""
    table = (config.vocab_size, config.hidden_size)
    shapes = {"embedding": table, "norm": (config.hidden_size,)}
    return shapes if config.tied else {**shapes, "head": table}


def expected(
    config: LlamaConfig, names: Mapping[str, str]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor a file must have, with its shape.

    One at a time: a config may claim any number of layers, and the first that is
    missing ends the reading.
    """
    for part, shape in outer_shapes(config).items():
        yield names[part], shape
    shapes = layer_shapes(config)
    for layer in range(config.layers):
        for part, shape in shapes.items():
            yield names[part].format(layer), shape
