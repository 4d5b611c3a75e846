"""Which file tests what, and how the tests of each part went."""

from typing import Final

import attrs
import pytest

PARTS: Final = {
    "Reference model": (
        "test_model",
        "test_corners",
        "test_ledger",
        "test_batch",
        "test_heap",
    ),
    "Prefix sharing": ("test_prefix", "test_offline"),
    "State machines": ("test_kernel_machine", "test_engine"),
    "Theorems": ("test_theorems", "test_fairness", "test_progress"),
    "Instances that must be unfair": ("test_unfair",),
    "Planted bugs": ("test_mutants", "test_audit"),
    "Small worlds": ("test_worlds",),
    "Proofs": ("test_proofs",),
    "Kit": ("test_max_min", "test_journal"),
    "Determinism": (
        "test_determinism",
        "test_hash_seed",
        "test_illegal_calls",
        "test_schedule_independence",
    ),
}
"""Parts by the beginnings of the names of their files; all others are REST."""
REST: Final = "Readers, simulator, values"


def part_of(path: str) -> str:
    """The part a test file belongs to."""
    name = path.rpartition("/")[2]
    for part, beginnings in PARTS.items():
        if name.startswith(beginnings):
            return part
    return REST


@attrs.define
class Tally:
    """How the tests of one part went."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


class Watcher:
    """A plugin of pytest that counts."""

    def __init__(self) -> None:
        self.tallies = {part: Tally() for part in (*PARTS, REST)}
        self.complete = False
        """All tests have run, whether they passed or not."""

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        done = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        self.complete = exitstatus in done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        tally = self.tallies[part_of(report.nodeid.partition("::")[0])]
        tally.seconds += report.duration
        if report.failed:
            tally.failed += 1
        elif report.skipped:
            tally.skipped += 1
        elif report.when == "call":
            tally.passed += 1
