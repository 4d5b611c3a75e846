"""What it costs that a product with a weight ignores the number of rows."""

from functools import partial

from torch.nn.functional import linear

from fairq_backends.triton_kernels import matmul
from tests.benchmarks.gpu.bench import Bench

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """The product of exact mode over that of fast mode, for each weight of a model."""
    for name, (n, k) in bench.sizes.weights.items():
        for rows in bench.sizes.price_rows:
            _row(bench, f"{name} ({n} x {k}), {rows} rows", rows, n, k)


def _row(bench: Bench, name: str, rows: int, n: int, k: int) -> None:
    x, w = bench.random(rows, k), bench.random(n, k, seed=1)
    exact = bench.timer.time(partial(matmul, x, w))
    fast = bench.timer.time(partial(linear, x, w))
    moved = x.nbytes + w.nbytes + rows * n * x.element_size()
    floor = max(moved / bench.copy_rate, 2 * rows * n * k / bench.matmul_rate) * 1e3
    note = f"exact {exact.ms:.4g} ms, fast {fast.ms:.4g} ms, floor {floor:.4g} ms"
    bench.say(name, exact.ms / fast.ms, "times", note=note)
