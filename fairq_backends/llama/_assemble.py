"""From single tensors in files to fused weights on a device."""

import torch
from torch import Tensor

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._parts import Source, expected, layer_shapes, outer_shapes
from fairq_backends.llama._weights import LayerWeights, LlamaWeights


def check_shapes(config: LlamaConfig, source: Source) -> None:
    """Compares what a file has with what its config asks for; reads no weights.

    Raises:
        ModelError: a tensor is missing, has another shape, or is one too many.
    """
    path, shapes = source.path, source.shapes
    wanted = set[str]()
    for name, shape in expected(config, source.names):
        if name not in shapes:
            msg = f"{path}: tensor {name} is missing; the config asks for it."
            raise ModelError(msg, path=path)
        if shapes[name] != shape:
            msg = (
                f"{path}: config and weights disagree: {name} should be {shape}, "
                f"and is {shapes[name]}."
            )
            raise ModelError(msg, path=path)
        wanted.add(name)
    surplus = [name for name in shapes if name not in wanted]
    unknown = [name for name in surplus if not name.endswith(source.extras)]
    if unknown:
        msg = (
            f"{path}: {len(unknown)} tensors are not part of a Llama model of this "
            f"config, the first is {unknown[0]}."
        )
        raise ModelError(msg, path=path)


def assemble(
    config: LlamaConfig, source: Source, dtype: torch.dtype, device: torch.device
) -> LlamaWeights:
    """Reads all weights. Beside the result, one tensor is in memory at a time."""
    builder = _Builder(config, source, dtype, device)
    embedding = builder.single("embedding")
    layers = tuple(builder.layer(number) for number in range(config.layers))
    norm = builder.single("norm")
    head = embedding if config.tied else builder.single("head")
    return LlamaWeights(embedding=embedding, layers=layers, norm=norm, head=head)


class _Builder:
    """Makes fused tensors and fills them part by part."""

    def __init__(
        self,
        config: LlamaConfig,
        source: Source,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._source = source
        self._dtype = dtype
        self._device = device
        self._shapes = {**layer_shapes(config), **outer_shapes(config)}

    def single(self, part: str) -> Tensor:
        return self._fused((part,), 0)

    def layer(self, number: int) -> LayerWeights:
        return LayerWeights(
            attention_norm=self._fused(("attention_norm",), number),
            qkv=self._fused(("q", "k", "v"), number),
            output=self._fused(("output",), number),
            mlp_norm=self._fused(("mlp_norm",), number),
            gate_up=self._fused(("gate", "up"), number),
            down=self._fused(("down",), number),
        )

    def _fused(self, parts: tuple[str, ...], layer: int) -> Tensor:
        """The parts below one another, converted and moved as they are copied."""
        rows = [self._shapes[part][0] for part in parts]
        shape = (sum(rows), *self._shapes[parts[0]][1:])
        fused = torch.empty(shape, dtype=self._dtype, device=self._device)
        for part, target in zip(parts, torch.split(fused, rows), strict=True):
            name = self._source.names[part].format(layer)
            target.copy_(self._source.read(part, name))
        return fused
