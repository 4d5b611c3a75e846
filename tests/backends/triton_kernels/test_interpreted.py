"""Every check of the kernels, in Triton's interpreter on the CPU."""

from pathlib import Path

import pytest

from tests.backends.triton_kernels._runner import CHECKS, run_checks


def test_there_are_checks_to_run() -> None:
    names = {"attention", "bits", "executor", "ops", "rows", "sample"}
    assert {f"check_{name}.py" for name in names} == {path.name for path in CHECKS}


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.stem)
def test_kernels_pass_in_the_interpreter(path: Path, tmp_path: Path) -> None:
    outcome = run_checks(path, tmp_path / "report.xml", interpreted=True)
    assert () == outcome.others, outcome.text
    assert outcome.passed > 0, outcome.text
