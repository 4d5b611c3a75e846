"""The shape of a Llama model."""

import math
from typing import Any, Final

import attrs

from fairq import UsageError
from fairq_backends.llama._rope import Rope

MOST: Final = 2**31 - 1
"""The largest size that is believed; kernels index with 32 bits."""


def _size(_: object, attribute: "attrs.Attribute[Any]", it: object) -> None:
    if not isinstance(it, int) or isinstance(it, bool) or not 1 <= it <= MOST:
        msg = f"{attribute.name} must be a whole number from 1 to {MOST}, got {it!r}."
        raise UsageError(msg)


@attrs.frozen(kw_only=True)
class LlamaConfig:
    """Sizes and constants. Raises ``UsageError`` when they do not fit together."""

    vocab_size: int = attrs.field(validator=_size)
    """Rows of the embedding; token ids are 0 .. vocab_size - 1."""

    hidden_size: int = attrs.field(validator=_size)
    """d: width of the residual stream."""

    intermediate_size: int = attrs.field(validator=_size)
    """F: width inside the MLP."""

    layers: int = attrs.field(validator=_size)
    """Number of layers."""

    heads: int = attrs.field(validator=_size)
    """Hq: query heads."""

    kv_heads: int = attrs.field(validator=_size)
    """Hkv: key and value heads; divides ``heads``."""

    head_dim: int = attrs.field(validator=_size)
    """D: even; need not be hidden_size / heads."""

    norm_eps: float = 1e-5
    """Added to the mean square in RMSNorm."""

    rope: Rope = attrs.field(factory=Rope)
    """Position embedding."""

    context_length: int = attrs.field(default=2048, validator=_size)
    """Positions the model was trained for."""

    tied: bool = True
    """Whether the head is the embedding."""

    eos: tuple[int, ...] = ()
    """Token ids that end a text."""

    bos: int | None = None
    """Token id that begins a text, if the model has one."""

    def __attrs_post_init__(self) -> None:
        if self.heads % self.kv_heads:
            msg = f"{self.heads} heads cannot share {self.kv_heads} KV heads evenly."
            raise UsageError(msg)
        if self.head_dim % 2:
            msg = f"head_dim must be even for rotary embeddings, got {self.head_dim}."
            raise UsageError(msg)
        if not 0 < self.norm_eps < math.inf:
            msg = f"norm_eps must be positive and finite, got {self.norm_eps!r}."
            raise UsageError(msg)
        self._check_rope()
        self._check_ids()

    def _check_rope(self) -> None:
        given, needed = len(self.rope.factors), self.head_dim // 2
        if given != (needed if self.rope.kind == "factors" else 0):
            msg = f"Rope has {given} factors; head_dim {self.head_dim} needs {needed}."
            raise UsageError(msg)

    def _check_ids(self) -> None:
        ids = self.eos if self.bos is None else (*self.eos, self.bos)
        for token in ids:
            if not 0 <= token < self.vocab_size:
                msg = (
                    f"Token id {token} (of eos {self.eos} and bos {self.bos}) is "
                    f"outside the vocabulary of {self.vocab_size}."
                )
                raise UsageError(msg)

    @property
    def qkv_rows(self) -> int:
        """Rows of the fused projection: query heads, then key, then value heads."""
        return (self.heads + 2 * self.kv_heads) * self.head_dim

    @property
    def parameters(self) -> int:
        """Numbers in the weights; a tied head counts once."""
        d, hidden = self.hidden_size, self.intermediate_size
        attention = self.qkv_rows * d + d * self.heads * self.head_dim
        layer = 2 * d + attention + 3 * d * hidden
        tables = 1 if self.tied else 2
        return self.layers * layer + d + tables * self.vocab_size * d
