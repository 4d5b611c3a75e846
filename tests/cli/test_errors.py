"""Wrong command lines: one line that says what to do, exit code 2, nothing written."""

from pathlib import Path

import pytest

from fairq.cli import _commands
from tests.cli.conftest import HEADER, Cli

WRONG = {
    "no command": ([], "required: COMMAND"),
    "unknown command": (["reply"], "invalid choice: 'reply'"),
    "unknown option": (["demo", "--fast"], "unrecognized arguments: --fast"),
    "abbreviated option": (["replay", "T", "--pol", "vtc"], "unrecognized"),
    "no trace": (["replay"], "expected at least one TRACE"),
    "missing trace": (["replay", "absent.csv"], "absent.csv"),
    "unknown policy": (["replay", "T", "--policy", "vtx"], "Did you mean 'vtc'?"),
    "policy twice": (
        ["replay", "T", "--policy", "vtc", "--policy", "vtc"],
        "got 'vtc' twice",
    ),
    "unknown preset": (
        ["replay", "T", "--gpu", "h100-lama3-8b"],
        "Did you mean 'h100-llama3-8b'?",
    ),
    "weight without number": (["replay", "T", "--weights", "a"], "got 'a'"),
    "weight without tenant": (["replay", "T", "--weights", "=2"], "got '=2'"),
    "weight of zero": (["replay", "T", "--weights", "a=0"], "weights > 0, got 'a=0'"),
    "weight of nan": (["replay", "T", "--weights", "a=nan"], "got 'a=nan'"),
    "weight twice": (["replay", "T", "--weights", "a=1,a=2"], "got 'a' twice"),
    "weight of a stranger": (["replay", "T", "--weights", "z=1"], "'z'"),
    "slack without a gate": (
        ["replay", "T", "--policy", "fcfs", "--slack", "5"],
        "only vtc has a gate",
    ),
    "negative slack": (["replay", "T", "--slack=-1"], "a number >= 0, got '-1'"),
    "speed of zero": (["replay", "T", "--speed", "0"], "a number > 0, got '0'"),
    "infinite speed": (["replay", "T", "--speed", "inf"], "got 'inf'"),
    "speed in words": (["replay", "T", "--speed", "fast"], "got 'fast'"),
    "no block": (["replay", "T", "--block-size", "0"], ">= 1 (tokens), got '0'"),
    "half a token": (["replay", "T", "--kv-tokens", "1.5"], "got '1.5'"),
    "less than a block": (["replay", "T", "--kv-tokens", "8"], "got 8"),
    "no sequences": (["replay", "T", "--max-sequences", "0"], "(sequences), got '0'"),
    "no budget": (["replay", "T", "--token-budget", "x"], "got 'x'"),
    "no max tokens": (["replay", "T", "--max-tokens", "0"], "'exact' or a whole"),
    "negative seed": (["replay", "T", "--seed=-1"], ">= 0 (seed), got '-1'"),
    "unknown admission": (["replay", "T", "--admission", "greedy"], "'greedy'"),
    "json into nowhere": (["replay", "T", "--json", "no/x"], "no folder 'no'"),
    "json onto a folder": (["replay", "T", "--json", "."], "got the folder '.'"),
    "csv into nowhere": (["replay", "T", "--requests-csv", "no/x"], "no folder 'no'"),
    "csv onto a file": (["replay", "T", "--requests-csv", "T"], "got the file 'T'"),
    "plot into nowhere": (["replay", "T", "--plot", "no/x.png"], "no folder 'no'"),
    "plot that is no PNG": (["replay", "T", "--plot", "x.pdf"], "ends in .png"),
    "demo into nowhere": (["demo", "--plot", "no/x.png"], "no folder 'no'"),
    "no log": (["measure"], "required: LOG"),
    "missing log": (["measure", "absent.csv"], "absent.csv"),
    "a trace for a log": (["measure", "T"], "T, line 1"),
    "log report into nowhere": (["measure", "T", "--json", "no/x"], "no folder 'no'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_command_line_gets_one_line_and_code_2(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("T").write_text(HEADER + "0,a,10,10\n")
    arguments, expected = WRONG[name]
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("fairq: error: ")
    assert ran.err.count("\n") == 1
    assert ran.err.endswith("\n")
    assert expected in ran.err
    assert ["T"] == [path.name for path in tmp_path.iterdir()]


def test_a_malformed_row_is_named_by_file_line_and_column(
    cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + "0,a,10,10\n1,a,-3,10\n")
    ran = cli("replay", path)
    assert ran.code == 2
    assert f"{path}, line 3, column 'prompt_tokens'" in ran.err


def test_ctrl_c_ends_quietly_with_code_130(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(_commands.COMMANDS, "backends", interrupted)
    ran = cli("backends")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_a_full_disk_is_an_error_and_no_traceback(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_arguments: object) -> None:
        raise OSError(28, "No space left on device", "out.json")

    monkeypatch.setitem(_commands.COMMANDS, "backends", full)
    ran = cli("backends")
    assert ran.code == 2
    assert ran.err == "fairq: error: out.json: No space left on device\n"


def test_a_bug_is_not_hidden(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(_commands.COMMANDS, "backends", broken)
    with pytest.raises(ZeroDivisionError):
        cli("backends")
