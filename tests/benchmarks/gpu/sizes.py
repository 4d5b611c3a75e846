"""What is measured: in full, quickly, or as a rehearsal on a CPU."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from fairq_backends.llama import LlamaConfig

__all__ = ["SIZES", "Heads", "Load", "Sizes", "Standing"]


@attrs.frozen
class Heads:
    """The heads of one layer, and the block size of its cache."""

    heads: int
    kv_heads: int
    dim: int
    block_size: int = 16


@attrs.frozen
class Standing:
    """A batch in the middle of its texts."""

    batch: int
    context: int
    """Positions when it is measured first; all steps stay below ``edge``."""
    edge: int
    """A power of two, above which graphs are captured for twice the context."""
    steps: int
    """Steps that are timed."""


@attrs.frozen
class Load:
    """Requests that are there at once."""

    requests: int
    prompt: int
    output: int


@attrs.frozen(kw_only=True)
class Sizes:
    """Everything that the measurements are free to choose."""

    repeats: int
    flush_bytes: int
    copy_bytes: int
    matmul: int
    heads: Heads
    decode_batches: tuple[tuple[int, int], ...]
    """(Batch, context)."""
    segments: tuple[int, ...]
    prefills: tuple[tuple[int, int], ...]
    """(New positions, positions before them)."""
    shared: tuple[int, int, int]
    """Batch, shared positions, own positions."""
    bits_length: int
    weights: Mapping[str, tuple[int, int]]
    """(N, K) of the matrices of a model."""
    price_rows: tuple[int, ...]
    most_rows: int
    """cuBLAS is asked with 1 .. so many rows."""
    launches: int
    model: LlamaConfig
    standing: Standing
    small_model: LlamaConfig
    load: Load


def shape(
    *, vocabulary: int, d: int, inner: int, layers: int, heads: Heads, context: int
) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=d,
        intermediate_size=inner,
        layers=layers,
        heads=heads.heads,
        kv_heads=heads.kv_heads,
        head_dim=heads.dim,
        context_length=context,
        tied=False,
    )


GIB: Final = 2**30
LLAMA_8B: Final = Heads(32, 8, 128)
TINY: Final = Heads(4, 2, 16)

FULL: Final = Sizes(
    repeats=30,
    flush_bytes=GIB // 2,
    copy_bytes=4 * GIB,
    matmul=8192,
    heads=LLAMA_8B,
    decode_batches=(
        *((64, 8192), (16, 32_768), (4, 131_072)),
        *((64, 4096), (8, 32_768), (1, 131_072)),
    ),
    segments=(256, 512),
    prefills=((8192, 0), (512, 8192)),
    shared=(64, 4096, 256),
    bits_length=1500,
    weights=MappingProxyType(
        {
            "qkv": (6144, 4096),
            "output": (4096, 4096),
            "gate_up": (28_672, 4096),
            "down": (4096, 14_336),
            "head": (128_256, 4096),
        }
    ),
    price_rows=(1, 16, 64, 512),
    most_rows=512,
    launches=500,
    model=shape(
        vocabulary=128_256,
        d=4096,
        inner=14_336,
        layers=32,
        heads=LLAMA_8B,
        context=8192,
    ),
    standing=Standing(batch=64, context=4040, edge=4096, steps=40),
    small_model=shape(
        vocabulary=128_256,
        d=2048,
        inner=8192,
        layers=16,
        heads=Heads(32, 8, 64),
        context=2048,
    ),
    load=Load(requests=64, prompt=512, output=128),
)

QUICK: Final = attrs.evolve(
    FULL,
    repeats=20,
    decode_batches=((64, 8192), (4, 131_072)),
    price_rows=(1, 64),
    most_rows=64,
    model=attrs.evolve(FULL.model, layers=8),
    standing=attrs.evolve(FULL.standing, steps=20),
)

REHEARSAL: Final = Sizes(
    repeats=1,
    flush_bytes=4096,
    copy_bytes=4096,
    matmul=32,
    heads=TINY,
    decode_batches=((2, 128),),
    segments=(64, 128),
    prefills=((64, 0), (16, 64)),
    shared=(3, 128, 64),
    bits_length=70,
    weights=MappingProxyType({"qkv": (48, 32), "down": (32, 48)}),
    price_rows=(1, 16),
    most_rows=8,
    launches=3,
    model=shape(vocabulary=97, d=32, inner=48, layers=2, heads=TINY, context=128),
    standing=Standing(batch=3, context=22, edge=32, steps=2),
    small_model=shape(vocabulary=97, d=32, inner=48, layers=2, heads=TINY, context=64),
    load=Load(requests=3, prompt=8, output=4),
)

SIZES: Final = MappingProxyType({"full": FULL, "quick": QUICK, "rehearsal": REHEARSAL})
