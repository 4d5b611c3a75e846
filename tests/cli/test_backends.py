"""``fairq backends``: what is installed, and whether it works."""

import pytest

from fairq.backend import Capacity
from fairq.cli import _backends
from fairq.plugins import BackendInfo
from tests.cli.conftest import Cli


def test_the_simulated_backend_is_listed_with_its_capacity(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    (line,) = [each for each in cli("backends").out.splitlines() if "simulated" in each]
    assert line.split()[:2] == ["simulated", "fairq"]
    assert "256 sequences, 2,048 tokens a step" in line


def test_a_backend_that_cannot_load_is_listed_with_the_reason(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    infos = (
        BackendInfo("bad", "some-plugin", None, "No module named 'torch' [red]"),
        BackendInfo("good", "other", Capacity(blocks=1000, block_size=16), None),
    )
    monkeypatch.setattr(_backends, "list_backends", lambda: infos)
    ran = cli("backends")
    assert ran.code == 0
    bad, good = ran.out.splitlines()[3:5]
    assert "No module named 'torch' [red]" in bad
    assert "16,000 tokens of KV" in good
