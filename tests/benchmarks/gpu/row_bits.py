"""Whether a row has the same bits however many rows its program takes.

16 rows are multiplied by other instructions than 64 or 128. If they round differently,
one number of rows must do for all forms of attention.
"""

import torch
from torch import Tensor

from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.paged import Decoding, Paged, Prefill, paged

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """Both forms with 16, 64 and 128 rows against the prefill form with 128."""
    length, heads = bench.sizes.bits_length, bench.sizes.heads
    cache = paged(bench, 1, length, heads=heads)
    expected = _prefilled(bench, cache, length, 128)
    for program_rows in (16, 64):
        actual = _prefilled(bench, cache, length, program_rows)
        _say(bench, f"prefill, {program_rows} rows as 128", expected, actual)
    for program_rows in (16, 64, 128):
        actual = _decoded(bench, cache, length, program_rows)
        name = f"split and folded, {program_rows} rows as prefill"
        _say(bench, name, expected, actual)


def _prefilled(bench: Bench, cache: Paged, length: int, program_rows: int) -> Tensor:
    segment = bench.sizes.segments[0]
    prefill = Prefill.of(bench, cache, length, 0, program_rows, segment)
    prefill.run()
    return prefill.out


def _decoded(bench: Bench, cache: Paged, length: int, program_rows: int) -> Tensor:
    # The same seed and shape as in the prefill form: the same queries.
    positions = [(0, position) for position in range(length)]
    segment = bench.sizes.segments[0]
    decoding = Decoding.of(
        bench, cache, positions, program_rows=program_rows, segment=segment
    )
    decoding.run()
    return decoding.out


def _say(bench: Bench, name: str, expected: Tensor, actual: Tensor) -> None:
    equal = torch.equal(expected, actual)
    apart = (expected.float() - actual.float()).abs().max().item()
    rows = int((expected != actual).flatten(1).any(1).sum())
    note = f"{rows} of {len(expected)} rows differ, by {apart:.3g} at most"
    bench.say(name, float(equal), "equal", at_least=1, note=note)
