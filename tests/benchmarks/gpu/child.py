"""One process of the run: measures, and writes down what it found or what failed."""

import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.log import Log
from tests.benchmarks.gpu.machine import describe
from tests.benchmarks.gpu.measurements import CEILINGS, Measurement
from tests.benchmarks.gpu.sizes import SIZES

__all__ = ["run_child"]


def run_child(path: Path, measurements: Sequence[Measurement], size: str) -> int:
    """Measure one after another; 1 if one of them raised."""
    device = torch.device("cpu" if size == "rehearsal" else "cuda")
    bench = Bench(device, SIZES[size], Log(path))
    for each in measurements:
        if each.name == CEILINGS:
            bench.log.add("machine", describe(device))
        run_one(bench, each)
    return 1 if bench.log.entries("error") else 0


def run_one(bench: Bench, measurement: Measurement) -> None:
    """The one place where an error is kept, so that the others can go on."""
    bench.measurement = measurement.name
    try:
        with torch.no_grad():
            measurement.run(bench)
    except Exception as error:  # noqa: BLE001  # whatever it is, it goes to the log
        text = f"{type(error).__name__}: {error}"
        trace = traceback.format_exc()
        entry = {"measurement": measurement.name, "error": text, "trace": trace}
        bench.log.add("error", entry)
        print(f"{measurement.name}: FAILED\n{trace}", flush=True)
