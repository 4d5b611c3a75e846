"""``fairq models``: what can be fetched by name, and fetching it."""

from pathlib import Path

import pytest

from fairq.cli._progress import byte_bar
from tests.cli.conftest import Cli
from tests.cli.fakes import FakeModel


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


def words(cli: Cli) -> list[str]:
    """The table, a line each, single-spaced."""
    ran = cli("models")
    assert (0, "") == (ran.code, ran.err)
    return [" ".join(line.split()) for line in ran.out.splitlines()]


def test_a_model_is_listed_with_size_licence_and_how_to_get_it(
    cli: Cli, plain: FakeModel
) -> None:
    lines = words(cli)
    assert "plain 12.3 MB MIT A model [for tests]" in lines
    assert "not here: fairq models pull plain" in lines
    assert 0 == plain.pulled


def test_a_model_that_is_here_is_listed_with_its_path(
    cli: Cli, plain: FakeModel
) -> None:
    path = plain.pull(lambda _done, _total: None)
    assert str(path) in words(cli)


@pytest.mark.usefixtures("plain")
def test_a_model_that_cannot_be_imported_hides_no_other(cli: Cli) -> None:
    lines = words(cli)
    (gone,) = [line for line in lines if line.startswith("gone")]
    assert "'gone' of distribution fakes cannot be imported" in gone
    assert any(line.startswith("plain") for line in lines)


def test_smollm2_comes_with_fairq(cli: Cli) -> None:
    (line,) = [line for line in words(cli) if line.startswith("smollm2")]
    assert line.startswith("smollm2 98.4 MB Apache-2.0 SmolLM2-135M-Instruct")


def test_pull_fetches_once_and_says_where(cli: Cli, plain: FakeModel) -> None:
    for _ in range(2):
        ran = cli("models", "pull", "plain")
        assert (0, "") == (ran.code, ran.err)
        assert f"plain is here: {plain.folder / 'plain.gguf'}\n" == ran.out
    assert 1 == plain.pulled


def test_a_long_path_is_not_broken(
    cli: Cli, plain: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    plain.folder = plain.folder / "a long name"
    plain.folder.mkdir()
    assert str(plain.folder) in cli("models", "pull", "plain").out


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pull"], "required: NAME"),
        (["push", "plain"], "invalid choice: 'push'"),
        (["pull", "plane"], "Known: gone, plain, smollm2. Did you mean 'plain'?"),
        (["pull", "gone"], "cannot be imported from tests.cli.fakes:gone"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_code_2(
    cli: Cli, arguments: list[str], expected: str
) -> None:
    ran = cli("models", *arguments)
    assert (2, "") == (ran.code, ran.out)
    assert 1 == ran.err.count("\n")
    assert expected in ran.err


@pytest.mark.usefixtures("plain")
def test_a_name_that_two_distributions_offer_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "second" / "others-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[fairq.models]\nplain = a:b\n")
    monkeypatch.syspath_prepend(tmp_path / "second")
    ran = cli("models", "pull", "plain")
    assert 2 == ran.code
    assert "got fakes and others. Uninstall all but one." in ran.err


def test_a_bar_counts_bytes_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("TERM", "xterm")
    with byte_bar("Fetching plain") as progress:
        progress(0, 4_000_000)
        progress(4_000_000, 4_000_000)
    out, err = capsys.readouterr()
    assert "" == out
    assert "Fetching plain" in err
    assert "4.0/4.0 MB" in err


def test_a_bar_is_silent_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with byte_bar("Fetching plain") as progress:
        progress(1, 2)
    assert ("", "") == tuple(capsys.readouterr())
