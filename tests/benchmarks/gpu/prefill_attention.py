"""Attention of prompts: operations a second."""

from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.paged import Prefill, paged

__all__ = ["measure"]

TARGET = 0.5


def measure(bench: Bench) -> None:
    """The prefill form, for a whole prompt and for a chunk of one."""
    for new, before in bench.sizes.prefills:
        for program_rows in (64, 128):
            _row(bench, new, before, program_rows)


def _row(bench: Bench, new: int, before: int, program_rows: int) -> None:
    heads = bench.sizes.heads
    cache = paged(bench, 1, new + before, heads=heads)
    prefill = Prefill.of(bench, cache, new, before, program_rows)
    took = bench.timer.time(prefill.run)
    # Two products of 2 D operations for each query and each key that it may see.
    pairs = new * before + new * (new + 1) // 2
    rate = 4 * heads.heads * heads.dim * pairs / took.ms * 1e3
    bench.say(
        f"{new} after {before}, program_rows {program_rows}",
        rate / bench.matmul_rate,
        "of matmul",
        at_least=TARGET,
        note=f"{rate / 1e12:.0f} TFLOP/s, {took.text()}",
    )
