"""Weights on the device and in the type that were asked for."""

import attrs
import torch
from torch import Tensor

from fairq_backends.llama import LayerWeights, LlamaWeights

__all__ = ["placed"]


def placed(
    weights: LlamaWeights, dtype: torch.dtype, device: torch.device
) -> LlamaWeights:
    """The weights there; shared with the argument where nothing has to change."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device=device, dtype=dtype)

    embedding = move(weights.embedding)
    tied = weights.head is weights.embedding
    return LlamaWeights(
        embedding=embedding,
        layers=tuple(
            LayerWeights(
                **{
                    field.name: move(getattr(layer, field.name))
                    for field in attrs.fields(LayerWeights)
                }
            )
            for layer in weights.layers
        ),
        norm=move(weights.norm),
        head=embedding if tied else move(weights.head),
    )
