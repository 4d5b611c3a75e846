"""Fixtures for tests of backends: the published model, and its golden output."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fairq_backends.catalogue import SMOLLM2

if TYPE_CHECKING:
    from fairq_backends.llama import Model


@pytest.fixture(scope="session")
def smollm2_path() -> Path:
    """The GGUF file of SmolLM2-135M-Instruct; downloaded the first time."""
    return SMOLLM2.pull()


@pytest.fixture(scope="session")
def smollm2(smollm2_path: Path) -> "Model":
    """SmolLM2-135M-Instruct in fp32 on the CPU. Do not change its weights."""
    # Not above: most tests of backends do without torch.
    from fairq_backends.llama import load_model

    return load_model(smollm2_path)


@pytest.fixture
def golden(traces: Path) -> dict[str, Any]:
    """What SmolLM2 answers according to transformers in fp32; see its ``what``."""
    text = (traces / "smollm2" / "golden.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
