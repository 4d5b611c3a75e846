"""Running the command line in this process, and small traces to run it on."""

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from fairq.cli import main


@attrs.frozen
class Ran:
    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """A function that runs ``fairq`` with some arguments."""

    def run(*arguments: str | Path) -> Ran:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run


HEADER = "arrival_s,client,prompt_tokens,output_tokens\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two greedy tenants, a and b, and a modest one, c: more than 2,000 tokens hold."""
    rows = [f"{i / 100},{'ab'[i % 2]},{100 + i},{40 + i % 7}\n" for i in range(60)]
    rows += [f"{1 + i / 10},c,20,10\n" for i in range(10)]
    path = tmp_path / "three.csv"
    path.write_text(HEADER + "".join(rows))
    return path


SMALL = ("--kv-tokens", "2000")
"""A machine on which the tenants of ``trace`` have to wait."""
