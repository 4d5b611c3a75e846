"""Llama-architecture models: reading their files, and the text around them.

``_config``, ``_rope`` and ``_weights`` are the values; ``_gguf``, ``_dequantise`` and
``_gguf_model`` read GGUF files, ``_hf_config`` and ``_hf_model`` Hugging Face folders;
``_assemble`` fuses what either read; ``_bpe``, ``_tokenizer``, ``_template`` and
``_stream`` turn text into ids and back. ``_load`` and ``_random`` make a ``Model``.
What is not understood is refused by name, never ignored.
"""

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._load import load_model
from fairq_backends.llama._model import Model
from fairq_backends.llama._random import random_model
from fairq_backends.llama._rope import Rope, rope_table
from fairq_backends.llama._stream import TextStream
from fairq_backends.llama._tokenizer import Tokenizer
from fairq_backends.llama._weights import LayerWeights, LlamaWeights

__all__ = [
    "LayerWeights",
    "LlamaConfig",
    "LlamaWeights",
    "Model",
    "ModelError",
    "Rope",
    "TextStream",
    "Tokenizer",
    "load_model",
    "random_model",
    "rope_table",
]
