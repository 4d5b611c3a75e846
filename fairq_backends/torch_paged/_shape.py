"""The sizes that every part of the executor speaks about."""

import attrs

from fairq_backends.llama import LlamaConfig

__all__ = ["Shape"]


@attrs.frozen(kw_only=True)
class Shape:
    """Heads of the model, and blocks of the pool."""

    heads: int
    """Hq."""
    kv_heads: int
    """Hkv."""
    head_dim: int
    """D."""
    block_size: int
    """Positions of a block."""

    @classmethod
    def of(cls, config: LlamaConfig, block_size: int) -> "Shape":
        """The shape of a model with blocks of that size."""
        return cls(
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_dim=config.head_dim,
            block_size=block_size,
        )

    @property
    def group(self) -> int:
        """G: query heads that share a KV head."""
        return self.heads // self.kv_heads
