"""Running the command line in this process, and small traces to run it on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from fairq.cli import main
from tests.cli import fakes


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


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[fakes.FakeModel]:
    """Installs the backend ``fake`` and the model ``plain``, which is not here yet."""
    site, cache = tmp_path / "site", tmp_path / "cache"
    facts = site / "fakes-1.0.dist-info"
    facts.mkdir(parents=True)
    cache.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: fakes\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(
        "[fairq.backends]\nfake = tests.cli.fakes:FakeText\n"
        "lost = tests.cli.nowhere:Lost\n"
        "[fairq.models]\nplain = tests.cli.fakes:plain\n"
        "gone = tests.cli.fakes:gone\n"
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(fakes.FakeText, "made", [], raising=False)
    model = fakes.FakeModel("plain", cache)
    monkeypatch.setitem(fakes.MODELS, "plain", model)
    yield model
    assert [1] * len(fakes.FakeText.made) == [b.closed for b in fakes.FakeText.made]
