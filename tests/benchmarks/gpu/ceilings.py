"""What this GPU reaches at best: the two numbers that all targets are shares of."""

import torch

from tests.benchmarks.gpu.bench import COPY, MATMUL, Bench

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """A large copy, bytes read and written; and a large product of bfloat16."""
    _copy(bench)
    _matmul(bench)


def _copy(bench: Bench) -> None:
    source = bench.random(bench.sizes.copy_bytes // bench.dtype.itemsize)
    target = torch.empty_like(source)
    took = bench.timer.time(lambda: target.copy_(source))
    moved = 2 * source.nbytes
    bench.say(COPY, moved / took.ms / 1e6, "GB/s", note=took)


def _matmul(bench: Bench) -> None:
    n = bench.sizes.matmul
    x, y = bench.random(n, n), bench.random(n, n, seed=1)
    out = torch.empty_like(x)
    took = bench.timer.time(lambda: torch.mm(x, y, out=out))
    bench.say(MATMUL, 2 * n**3 / took.ms / 1e9, "TFLOP/s", note=took)
