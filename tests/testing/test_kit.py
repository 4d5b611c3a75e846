"""The package ``fairq.testing``: what it needs, and what needs it."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import fairq
from fairq import testing

ROOT = Path(fairq.__file__).parent


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not imported the kit yet."""
    names = [name for name in sys.modules if name.startswith("fairq.testing")]
    for name in names:
        monkeypatch.delitem(sys.modules, name)


def test_without_hypothesis_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    forget(monkeypatch)
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError) as caught:
        importlib.import_module("fairq.testing")
    assert str(caught.value) == (
        'fairq.testing needs hypothesis. Install it with: pip install "fairq[testing]"'
    )
    assert "hypothesis" == caught.value.name


def test_fairq_itself_does_not_import_the_kit() -> None:
    code = (
        "import sys, fairq, fairq.sim, fairq.cli;"
        "print([m for m in sys.modules if m.startswith(('fairq.testing', 'hypoth'))])"
    )
    done = subprocess.run(  # noqa: S603  # our own code, no shell
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "[]\n" == done.stdout


def test_no_module_outside_the_kit_names_it() -> None:
    outside = [
        path for path in sorted(ROOT.rglob("*.py")) if "testing" not in path.parts
    ]
    imports = [
        node
        for path in outside
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
    ]
    assert len(imports) > len(outside)
    assert [] == [
        ast.unparse(node) for node in imports if "fairq.testing" in ast.unparse(node)
    ]


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(getattr(testing, name))


@pytest.mark.parametrize("name", [n for n in testing.__all__ if n[0].islower()])
def test_every_public_function_says_what_it_raises_and_shows_itself(name: str) -> None:
    doc = inspect.getdoc(getattr(testing, name))
    assert doc is not None
    assert "Raises:" in doc
    assert f"{name}(" in doc, "expected an example"


def test_the_public_names_are_in_order() -> None:
    names = list(testing.__all__)
    assert sorted(names, key=lambda name: (name[0].islower(), name)) == names
