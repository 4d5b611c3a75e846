"""What it brings to read a shared prefix once for all who share it."""

from fairq_backends.triton_kernels.work import SharedPrefix
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.paged import Decoding, paged
from tests.benchmarks.gpu.timing import Timing

__all__ = ["measure"]

TARGET = 6.0
VARIANTS = ((16, None), (64, None), (128, None), (64, 16), (128, 16))
"""Rows of a program; and, in a launch of their own, of items with one member."""


def measure(bench: Bench) -> None:
    """The same contexts unshared in two ways, and shared by several schedules."""
    batch, shared, own = bench.sizes.shared
    times = {variant: _shared(bench, *variant) for variant in VARIANTS}
    best = min(times, key=lambda variant: times[variant].ms)
    for (rows, lone), took in times.items():
        name = f"shared, program_rows {rows}" + (f" and {lone}" if lone else "")
        bench.say(name, took.ms * 1e3, "us", note=took)
    copies, lists = _unshared(bench, copies=True), _unshared(bench, copies=False)
    what = f"batch {batch}, {shared} shared, {own} own; best with rows {best}"
    bench.say(
        "gain over a prefix in blocks of each one's own",
        copies.ms / times[best].ms,
        "times",
        at_least=TARGET,
        note=f"{what}; unshared {copies.text()}",
    )
    bench.say(
        "gain over the same blocks read by each",
        lists.ms / times[best].ms,
        "times",
        note=f"much of it from L2; unshared {lists.text()}",
    )


def _positions(bench: Bench) -> list[tuple[int, int]]:
    batch, shared, own = bench.sizes.shared
    return [(row, shared + own - 1) for row in range(batch)]


def _shared(bench: Bench, program_rows: int, lone_rows: int | None) -> Timing:
    batch, shared, own = bench.sizes.shared
    cache = paged(bench, batch, shared + own, shared=shared, heads=bench.sizes.heads)
    decoding = Decoding.of(
        bench,
        cache,
        _positions(bench),
        shared=[SharedPrefix(tuple(range(batch)), shared)],
        program_rows=program_rows,
        lone_rows=lone_rows,
        segment=bench.sizes.segments[0],
    )
    return bench.timer.time(decoding.run)


def _unshared(bench: Bench, *, copies: bool) -> Timing:
    batch, shared, own = bench.sizes.shared
    common = 0 if copies else shared
    cache = paged(bench, batch, shared + own, shared=common, heads=bench.sizes.heads)
    segment = bench.sizes.segments[0]
    decoding = Decoding.of(bench, cache, _positions(bench), segment=segment)
    return bench.timer.time(decoding.run)
