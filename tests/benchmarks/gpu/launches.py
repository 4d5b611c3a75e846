"""What a launch costs the host, and what it costs in a graph."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from fairq_backends.triton_kernels import add_norm
from fairq_backends.triton_kernels._language import Pointer, jit, tl
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.timing import captured

__all__ = ["measure"]


@jit
def almost_nothing(out: Pointer) -> None:
    tl.store(out + tl.program_id(0), 1.0)


def measure(bench: Bench) -> None:
    """A kernel that does almost nothing; and one of ours, with its checks."""
    out = torch.zeros(1, device=bench.device)
    x, weight = bench.random(1, 64), bench.random(64)

    def ours() -> tuple[Tensor, Tensor]:
        return add_norm(x, None, weight, 1e-5)

    _rows(
        bench,
        "an empty kernel",
        lambda: almost_nothing[(1,)](out, enable_fp_fusion=False),
    )
    _rows(bench, "add_norm of one row", ours)


def _rows(bench: Bench, name: str, launch: Callable[[], object]) -> None:
    count = bench.sizes.launches

    def many() -> None:
        for _ in range(count):
            launch()

    bench.say(f"{name}, eager", _each(bench, many, count), "us", note="host and device")
    replay = captured(many) if bench.device.type == "cuda" else many
    bench.say(f"{name}, in a graph", _each(bench, replay, count), "us", note="of many")


def _each(bench: Bench, many: Callable[[], object], count: int) -> float:
    """Microseconds of one launch, the best of five."""
    best = float("inf")
    many()
    for _ in range(5):
        _wait(bench)
        begun = time.perf_counter()
        many()
        _wait(bench)
        best = min(best, time.perf_counter() - begun)
    return best / count * 1e6


def _wait(bench: Bench) -> None:
    if bench.device.type == "cuda":
        torch.cuda.synchronize()
