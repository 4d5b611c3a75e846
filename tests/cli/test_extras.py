"""Without rich or matplotlib: help still helps, the rest says what to install."""

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli

NEEDED = (
    "fairq: error: fairq {} needs rich (and matplotlib for pictures). "
    'Install them with: pip install "fairq[cli]"\n'
)

ALL: dict[str, list[str]] = {
    "demo": [],
    "replay": ["T"],
    "measure": ["L"],
    "generate": ["--prompt", "a"],
    "models": [],
    "backends": [],
}
"""Every command, with what it cannot do without."""


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.mark.usefixtures("no_rich")
@pytest.mark.parametrize("command", ALL)
def test_without_rich_a_command_says_what_to_install(cli: Cli, command: str) -> None:
    ran = cli(command, *ALL[command])
    assert (ran.code, ran.out) == (2, "")
    assert NEEDED.format(command) == ran.err


@pytest.mark.usefixtures("no_rich", "no_matplotlib")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_need_nothing(cli: Cli, option: str) -> None:
    ran = cli(option)
    assert (ran.code, ran.err) == (0, "")
    assert "fairq" in ran.out


@pytest.mark.usefixtures("no_matplotlib")
def test_tables_and_reports_need_no_matplotlib(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    files = ("--json", tmp_path / "r.json", "--requests-csv", tmp_path)
    log = tmp_path / "requests_vtc.csv"
    assert cli("replay", trace, *SMALL, *files).code == 0
    assert cli("measure", log, "--json", tmp_path / "m.json").code == 0
    assert cli("backends").code == 0
    assert cli("models").code == 0


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_pictures_are_refused_before_the_run(
    cli: Cli, trace: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "x.png"
    for arguments in (["demo"], ["replay", trace, "--plot", picture]):
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (2, "")
        assert NEEDED.format(arguments[0]) == ran.err
    assert not picture.exists()
