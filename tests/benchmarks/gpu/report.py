"""The whole run, as a table and as JSON."""

import json
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks.gpu.log import Log
from tests.benchmarks.gpu.rows import Row

__all__ = ["METHOD", "Report"]

METHOD = (
    "Kernels: captured in a CUDA graph, warmed up, timed by events around each replay, "
    "a buffer of half a GiB read before each; median (least to most). Steps and "
    "servers: wall clock of the host around work that ends by waiting for the device. "
    "Random numbers everywhere. Ceilings and results are of the same run."
)


@attrs.define
class Report:
    """What the log holds."""

    log: Log
    size: str
    elapsed: float
    rows: list[Row] = attrs.field(init=False)
    errors: list[dict[str, Any]] = attrs.field(init=False)
    skipped: list[dict[str, Any]] = attrs.field(init=False)
    machine: dict[str, Any] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = self.log.rows()
        self.errors = self.log.entries("error")
        self.skipped = self.log.entries("skipped")
        machines = self.log.entries("machine")
        self.machine = machines[0] if machines else {}

    def show(self) -> None:
        """Print it, the table last but for what went wrong."""
        print(f"\n{METHOD}")
        for name, value in self.machine.items():
            print(f"{name}: {value}")
        print(f"size: {self.size}, {self.elapsed:.0f} s\n")
        for row in self.rows:
            print(row.line())
        for each in self.skipped:
            print(f"{each['measurement']}: SKIPPED, the budget was too small")
        for each in self.errors:
            print(f"{each['measurement']}: FAILED: {each['error']}")

    def write(self, path: Path) -> None:
        """As JSON."""
        rows = [
            {**attrs.asdict(row), "target": row.target, "met": row.met}
            for row in self.rows
        ]
        whole = {
            "method": METHOD,
            "machine": self.machine,
            "size": self.size,
            "elapsed_s": self.elapsed,
            "rows": rows,
            "skipped": self.skipped,
            "errors": self.errors,
        }
        path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
