"""The command as a process: what only a real stdout and a fresh interpreter show."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}


def python(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, *arguments],
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_module_is_the_command() -> None:
    ran = python("-m", "fairq", "replay", "--gpu", "list")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "h100-llama3-8b" in ran.stdout.splitlines()


def test_an_error_becomes_the_exit_code() -> None:
    ran = python("-m", "fairq", "replay")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.startswith("fairq: error: ")


def test_importing_fairq_and_asking_for_help_import_neither_rich_nor_matplotlib() -> (
    None
):
    code = (
        "import sys; sys.modules['rich'] = sys.modules['matplotlib'] = None\n"
        "import fairq; from fairq.cli import main; sys.exit(main(['--help']))"
    )
    ran = python("-c", code)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "replay" in ran.stdout


def test_a_table_does_not_pay_for_matplotlib() -> None:
    code = (
        "import sys; from fairq.cli import main; main(['backends'])\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert python("-c", code).returncode == 0


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "fairq", "backends"],
            env=ENV,
            stdout=write,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(write)
    assert (ran.returncode, ran.stderr) == (141, b"")
