"""A model that is ready to be executed."""

import attrs

from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._tokenizer import Tokenizer
from fairq_backends.llama._weights import LlamaWeights


@attrs.frozen(eq=False)
class Model:
    """Weights with all that is needed to use them."""

    name: str
    """For messages: the file's name without its ending, or the folder's."""

    config: LlamaConfig
    """Its shape."""

    weights: LlamaWeights
    """Its numbers."""

    tokenizer: Tokenizer | None
    """None when the files have none; then only token ids go in and out."""
