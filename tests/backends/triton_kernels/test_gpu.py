"""The same checks on a GPU, in bfloat16 too, and those that need one."""

from pathlib import Path

import pytest
import torch

from tests.backends.triton_kernels._runner import CHECKS, CHECKS_OF_GPUS, run_checks

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.mark.parametrize("path", CHECKS + CHECKS_OF_GPUS, ids=lambda path: path.stem)
def test_kernels_pass_on_the_gpu(path: Path, tmp_path: Path) -> None:
    outcome = run_checks(path, tmp_path / "report.xml", interpreted=False)
    assert () == outcome.others, outcome.text
    assert outcome.passed > 0, outcome.text
