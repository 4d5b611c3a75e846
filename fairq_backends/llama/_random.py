"""Models with random weights: tests at odd sizes, speed at real ones."""

from pathlib import Path

import torch
from torch import Tensor

from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._device import checked_device
from fairq_backends.llama._memory import enough_memory
from fairq_backends.llama._model import Model
from fairq_backends.llama._weights import LayerWeights, LlamaWeights

NAME = "random"


def random_model(
    config: LlamaConfig,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    scale: float = 0.3,
) -> Model:
    """A model without a tokenizer, made on the device, tensor by tensor.

    Args:
        config: Its shape.
        seed: Same seed, dtype and kind of device: same weights.
        dtype: Of all weights.
        device: Where they are made.
        scale: Standard deviation of matrices. The usual 0.02 makes the logits of a
            tiny model nearly equal; norms are 1 with a deviation of 0.1, so that a
            norm which is left out shows.

    Raises:
        ModelError: there is not enough memory.
        UsageError: there is no such device.
    """
    where = checked_device(device)
    draw = _Draw(where, dtype, seed, scale)
    with enough_memory(NAME, Path(NAME), config, dtype, where):
        weights = _weights(config, draw)
    return Model(name=NAME, config=config, weights=weights, tokenizer=None)


class _Draw:
    """Makes tensors one after another from one generator."""

    def __init__(
        self, device: torch.device, dtype: torch.dtype, seed: int, scale: float
    ) -> None:
        self._device = device
        self._dtype = dtype
        self._scale = scale
        self._generator = torch.Generator(device).manual_seed(seed)

    def matrix(self, rows: int, columns: int) -> Tensor:
        return self._normal((rows, columns), 0.0, self._scale)

    def norm(self, width: int) -> Tensor:
        return self._normal((width,), 1.0, 0.1)

    def _normal(self, shape: tuple[int, ...], mean: float, deviation: float) -> Tensor:
        empty = torch.empty(shape, dtype=self._dtype, device=self._device)
        return empty.normal_(mean, deviation, generator=self._generator)


def _weights(config: LlamaConfig, draw: _Draw) -> LlamaWeights:
    d, vocabulary = config.hidden_size, config.vocab_size
    embedding = draw.matrix(vocabulary, d)
    layers = tuple(_layer(config, draw) for _ in range(config.layers))
    norm = draw.norm(d)
    head = embedding if config.tied else draw.matrix(vocabulary, d)
    return LlamaWeights(embedding=embedding, layers=layers, norm=norm, head=head)


def _layer(config: LlamaConfig, draw: _Draw) -> LayerWeights:
    d, inner = config.hidden_size, config.intermediate_size
    return LayerWeights(
        attention_norm=draw.norm(d),
        qkv=draw.matrix(config.qkv_rows, d),
        output=draw.matrix(d, config.heads * config.head_dim),
        mlp_norm=draw.norm(d),
        gate_up=draw.matrix(2 * inner, d),
        down=draw.matrix(d, inner),
    )
