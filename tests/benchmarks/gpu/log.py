"""The file in which the processes write: one JSON object a line, as things happen."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from tests.benchmarks.gpu.rows import Row

__all__ = ["Log"]


@attrs.frozen
class Log:
    """What happened so far. A process that dies loses nothing."""

    path: Path

    def add(self, kind: str, entry: Mapping[str, Any]) -> None:
        """``kind`` is ``row``, ``error``, ``skipped`` or ``machine``."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **entry}) + "\n")

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """All of one kind, in order."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        return [each for each in found if each.pop("kind") == kind]

    def rows(self) -> list[Row]:
        """All rows."""
        return [Row(**each) for each in self.entries("row")]
