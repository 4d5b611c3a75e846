"""Runs the files in ``checks`` in a process of their own, and reads what came out.

They are written once and run twice: in Triton's interpreter, which has to be chosen
before a kernel is decorated, and on a GPU. Their names keep pytest from collecting them
by itself.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import attrs

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[2]
CHECKS: Final = sorted((HERE / "checks").glob("check_*.py"))
CHECKS_OF_GPUS: Final = sorted((HERE / "checks_of_gpus").glob("check_*.py"))


@attrs.frozen
class Outcome:
    """What one file said."""

    passed: int
    others: tuple[str, ...]
    """Names of cases that failed or were skipped."""
    text: str


def run_checks(path: Path, report: Path, *, interpreted: bool) -> Outcome:
    environment = {
        **os.environ,
        "OMP_WAIT_POLICY": "PASSIVE",
        "TRITON_INTERPRET": "1" if interpreted else "0",
    }
    command = [
        *(sys.executable, "-m", "pytest", str(path), f"--junitxml={report}"),
        *("-q", "-p", "no:cacheprovider", "--tb=short", "--rootdir", str(ROOT)),
        *("-o", "python_files=check_*.py", "-o", "python_functions=check_*"),
    ]
    done = subprocess.run(  # noqa: S603  # our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    text = done.stdout + done.stderr
    assert report.exists(), text
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314  # we wrote it
    others = tuple(str(case.get("name")) for case in cases if len(case))
    return Outcome(len(cases) - len(others), others, text)
