"""What it costs that attention is compiled without fused multiply-adds.

The compiler would fuse in one form and not in the other, and their bits would differ.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.paged import Decoding, Prefill, paged

__all__ = ["measure"]

FORMS = ("_attend_partial", "_attend_prefill")


def measure(bench: Bench) -> None:
    """Time without over time with, of the first decode batch and the first prompt."""
    heads, (batch, length) = bench.sizes.heads, bench.sizes.decode_batches[0]
    cache = paged(bench, batch, length, heads=heads)
    segment = bench.sizes.segments[0]
    positions = [(row, length - 1) for row in range(batch)]
    decoding = Decoding.of(bench, cache, positions, segment=segment)
    _row(bench, f"decodes, batch {batch} x {length}", decoding.run)
    new, before = bench.sizes.prefills[0]
    cache = paged(bench, 1, new + before, heads=heads)
    prefill = Prefill.of(bench, cache, new, before, 128, segment)
    _row(bench, f"prompt, {new} after {before}", prefill.run)


def _row(bench: Bench, name: str, run: Callable[[], None]) -> None:
    without = bench.timer.time(run)
    with fused():
        fusing = bench.timer.time(run)
    note = f"without {without.text()}, with {fusing.ms:.4g} ms"
    bench.say(name, without.ms / fusing.ms, "times", note=note)


@contextmanager
def fused() -> Iterator[None]:
    """Compile attention with fused multiply-adds meanwhile."""
    modules = [
        importlib.import_module(f"fairq_backends.triton_kernels.{form}")
        for form in FORMS
    ]
    usual = modules[0].launch_options

    def options(*arguments: object) -> dict[str, object]:
        return {**usual(*arguments), "enable_fp_fusion": True}

    for module in modules:
        module.launch_options = options  # type: ignore[attr-defined]  # on purpose
    try:
        yield
    finally:
        for module in modules:
            module.launch_options = usual  # type: ignore[attr-defined]  # on purpose
