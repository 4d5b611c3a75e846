"""Attention of decodes: how fast the KV cache is read."""

from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.paged import Decoding, paged

__all__ = ["measure"]

TARGET = 0.8
ENOUGH = 2e9
"""Bytes of KV from which on the target counts."""


def measure(bench: Bench) -> None:
    """The partial form with its fold, for each batch and each length of segment."""
    for batch, length in bench.sizes.decode_batches:
        for segment in bench.sizes.segments:
            _row(bench, batch, length, segment)


def _row(bench: Bench, batch: int, length: int, segment: int) -> None:
    cache = paged(bench, batch, length, heads=bench.sizes.heads)
    positions = [(row, length - 1) for row in range(batch)]
    decoding = Decoding.of(bench, cache, positions, segment=segment)
    took = bench.timer.time(decoding.run)
    read = cache.kv_bytes(batch * length)
    rate = read / took.ms * 1e3
    bench.say(
        f"batch {batch} x {length}, segment {segment}",
        rate / bench.copy_rate,
        "of copy",
        at_least=TARGET if read >= ENOUGH else None,
        note=f"{rate / 1e9:.0f} GB/s of KV, {took.text()}",
    )
