"""Weights as another dtype would hold them, in the dtype of the arithmetic."""

from collections.abc import Mapping
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq import UsageError
from fairq_backends.llama import LayerWeights, LlamaWeights

DTYPES: Final[Mapping[str, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def dtype_of(name: str) -> torch.dtype:
    """The dtype of that name.

    Raises:
        UsageError: it is none of ``DTYPES``.
    """
    if name not in DTYPES:
        msg = (
            f"ReferenceBackend.dtype must be one of {', '.join(DTYPES)}; got {name!r}."
        )
        raise UsageError(msg)
    return DTYPES[name]


def rounded(weights: LlamaWeights, dtype: torch.dtype) -> LlamaWeights:
    """The weights rounded to a dtype, as float32; what is that already is shared."""
    embedding = _tensor(weights.embedding, dtype)
    tied = weights.head is weights.embedding
    return LlamaWeights(
        embedding=embedding,
        layers=tuple(_layer(layer, dtype) for layer in weights.layers),
        norm=_tensor(weights.norm, dtype),
        head=embedding if tied else _tensor(weights.head, dtype),
    )


def _layer(layer: LayerWeights, dtype: torch.dtype) -> LayerWeights:
    names = [field.name for field in attrs.fields(LayerWeights)]
    return LayerWeights(
        **{name: _tensor(getattr(layer, name), dtype) for name in names}
    )


def _tensor(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype).to(torch.float32)
