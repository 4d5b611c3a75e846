"""The list of all measurements: what they are called, and how long they may take.

Nothing heavy is imported here; a measurement is the function ``measure`` of its module.
"""

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from tests.benchmarks.gpu.bench import Bench

__all__ = ["CEILINGS", "MEASUREMENTS", "Measurement", "chosen"]

CEILINGS: Final = "ceilings"
"""Always first: targets are shares of what it finds."""


@attrs.frozen
class Measurement:
    """One module of this folder."""

    name: str
    seconds: float
    """What it is expected to need; it is skipped when less is left."""
    module: str = attrs.field(kw_only=True)
    environment: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    """Variables that must be set before the process starts."""

    def run(self, bench: Bench) -> None:
        """Measure, and say what was found."""
        module = importlib.import_module(f"tests.benchmarks.gpu.{self.module}")
        measure: Callable[[Bench], None] = module.measure
        measure(bench)


FIXED_CUBLAS: Final = MappingProxyType(
    {"CUBLAS_WORKSPACE_CONFIG": ":16:8", "CUBLASLT_WORKSPACE_SIZE": "1"}
)
"""Leaves cuBLAS no room to split a sum over k."""

MEASUREMENTS: Final = (
    Measurement(CEILINGS, 20, module="ceilings"),
    Measurement("decode-attention", 30, module="decode_attention"),
    Measurement("prefill-attention", 30, module="prefill_attention"),
    Measurement("shared-prefix", 30, module="shared_prefix"),
    Measurement("row-bits", 30, module="row_bits"),
    Measurement("decode-step", 75, module="decode_step"),
    Measurement("exact-price", 45, module="exact_price"),
    Measurement("cublas-rows", 25, module="cublas_rows"),
    Measurement(
        "cublas-rows-fixed",
        25,
        module="cublas_rows_fixed",
        environment=FIXED_CUBLAS,
    ),
    Measurement("launches", 15, module="launches"),
    Measurement("fusion", 20, module="fusion"),
    Measurement("varlen", 10, module="varlen"),
    Measurement("side-by-side", 90, module="side_by_side"),
)


def chosen(only: str) -> tuple[Measurement, ...]:
    """All, or the ceilings and those that are named.

    Raises:
        SystemExit: a name is not known.
    """
    named = {name for name in only.split(",") if name}
    known = [each.name for each in MEASUREMENTS]
    if unknown := named.difference(known):
        msg = f"--only takes {', '.join(known)}; got {', '.join(sorted(unknown))}"
        raise SystemExit(msg)
    named |= {CEILINGS} if named else set(known)
    return tuple(each for each in MEASUREMENTS if each.name in named)
