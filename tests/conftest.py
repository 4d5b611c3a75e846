"""Fixtures of all tests: both event loops, and where the larger traces are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def traces() -> Path:
    """The folder of the larger traces: $FAIRQ_TRACES, or ../shared/data beside us."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FAIRQ_TRACES", default))
    if not folder.is_dir():
        pytest.skip(f"the traces are not at {folder}; set FAIRQ_TRACES")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="rewrite the expected parts of tests/scenarios/*.txt",
    )
