"""Runs the measurements, each in a process of its own, within a budget.

A process of its own, because a kernel that reads where it must not makes CUDA unusable
for the process it happened in, and because a process that hangs can be ended.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import torch

from tests.benchmarks.gpu.log import Log
from tests.benchmarks.gpu.measurements import CEILINGS, Measurement
from tests.benchmarks.gpu.report import Report

__all__ = ["Parent"]

PATIENCE = 3
"""A measurement is ended after so many times what it is expected to need."""
TESTS = "python -m pytest -m gpu tests/backends"


@attrs.define
class Parent:
    """The command that was given."""

    command: Path
    """The file to run."""
    size: str
    budget: float
    """Seconds for everything."""
    json: Path | None
    begun: float = attrs.field(factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds."""
        return self.budget - (time.monotonic() - self.begun)

    def run(self, measurements: Sequence[Measurement]) -> int:
        """Measure, show and write; the exit code."""
        print(f"The tests that need a GPU: {TESTS}", flush=True)
        if self.size != "rehearsal" and not torch.cuda.is_available():
            print("There is no GPU that Torch can use. --rehearse does without.")
            return 2
        with tempfile.TemporaryDirectory() as folder:
            log = Log(Path(folder) / "log.jsonl")
            self._measure(measurements, log)
            report = Report(log, self.size, time.monotonic() - self.begun)
            report.show()
        return 1 if report.errors else 0

    def _measure(self, measurements: Sequence[Measurement], log: Log) -> None:
        # A rehearsal imports Torch once; on a GPU safety is worth the seconds.
        if self.size == "rehearsal":
            groups = [list(measurements)]
        else:
            groups = [[each] for each in measurements]
        for group in groups:
            self._group(group, log)
            if self.json:  # after each: what was measured is never lost
                elapsed = time.monotonic() - self.begun
                Report(log, self.size, elapsed).write(self.json)

    def _group(self, group: Sequence[Measurement], log: Log) -> None:
        needed = sum(each.seconds for each in group)
        if self.left < needed:
            for each in group:
                print(f"{each.name}: SKIPPED, {self.left:.0f} s left", flush=True)
                log.add("skipped", {"measurement": each.name, "left_s": self.left})
            return
        self._spawn(group, log)

    def _spawn(self, group: Sequence[Measurement], log: Log) -> None:
        names = ",".join(each.name for each in group)
        print(f"--- {names} ({self.left:.0f} s left)", flush=True)
        command = [
            *(sys.executable, str(self.command), "--child", str(log.path)),
            *("--only", names, *self._options()),
        ]
        before = len(log.entries("error"))
        patience = min(self.left, PATIENCE * sum(each.seconds for each in group))
        environment = {**os.environ, **_variables(group)}
        try:
            done = subprocess.run(  # noqa: S603  # our own command
                command, env=environment, check=False, timeout=patience
            )
        except subprocess.TimeoutExpired:
            self._died(log, names, f"ran past {patience:.0f} s")
            return
        if done.returncode and len(log.entries("error")) == before:
            self._died(log, names, f"its process ended with {done.returncode}")

    def _options(self) -> tuple[str, ...]:
        return {"rehearsal": ("--rehearse",), "quick": ("--quick",)}.get(self.size, ())

    def _died(self, log: Log, names: str, why: str) -> None:
        print(f"{names}: FAILED, {why}", flush=True)
        log.add("error", {"measurement": names, "error": why, "trace": ""})


def _variables(group: Sequence[Measurement]) -> Mapping[str, str]:
    """Those of a measurement that has the process to itself."""
    own = [each for each in group if each.name != CEILINGS]
    return own[0].environment if len(group) == len(own) == 1 else {}
