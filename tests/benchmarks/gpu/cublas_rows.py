"""Whether a row of a cuBLAS product depends on the number of rows."""

import hashlib

import torch
from torch import Tensor
from torch.nn.functional import linear

from tests.benchmarks.gpu.bench import Bench

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """For each weight of a model: in how many ways its first row comes out."""
    most = bench.sizes.most_rows
    for name, (n, k) in bench.sizes.weights.items():
        x, w = bench.random(most, k), bench.random(n, k, seed=1)
        ways, differing = _asked(x, w)
        note = (
            f"1 .. {most} rows; others than with {most} rows: "
            f"{ranges(differing) or 'none'}"
        )
        label = f"{name} ({n} x {k}), results of one row"
        bench.say(label, ways, "ways", note=note)


def _asked(x: Tensor, w: Tensor) -> tuple[int, list[int]]:
    """Different first rows; and the numbers of rows that differ from all of them."""
    whole = linear(x, w)
    seen, differing = set(), []
    for rows in range(1, len(x) + 1):
        y = linear(x[:rows], w)
        seen.add(hashlib.sha256(_bytes(y[0])).digest())
        if not torch.equal(y, whole[:rows]):
            differing.append(rows)
    return len(seen), differing


def _bytes(row: Tensor) -> bytes:
    # numpy knows no bfloat16
    return row.view(torch.uint8).cpu().numpy().tobytes()


def ranges(numbers: list[int]) -> str:
    """``1-4, 7``."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join("-".join(map(str, part)) for part in parts)
