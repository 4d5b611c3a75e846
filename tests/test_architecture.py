"""The shape of the source: small functions, short modules, more tests than source.

Which module may import which is checked by the import contracts in pyproject.toml.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("fairq", "fairq_backends")
TESTS = ("tests", "property_tests")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(folders: tuple[str, ...]) -> list[Path]:
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(paths)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from ``def`` to the end, without decorators and docstring."""
    assert function.end_lineno is not None
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        assert first.end_lineno is not None
        lines -= first.end_lineno - first.lineno + 1
    return lines


def lines(folders: tuple[str, ...]) -> int:
    """Lines that are not blank."""
    texts = (path.read_text().splitlines() for path in modules(folders))
    return sum(bool(line.strip()) for text in texts for line in text)


SOURCE = modules(PACKAGES)


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_no_module_is_over_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_no_function_is_over_50_lines(path: Path) -> None:
    assert [] == [f.name for f in functions(path) if length(f) > 50]


def test_most_functions_are_small() -> None:
    lengths = [length(f) for path in SOURCE for f in functions(path)]
    assert median(lengths) <= 6
    assert quantiles(lengths, n=10)[-1] <= 25


def test_there_is_half_as_much_again_of_tests_as_of_source() -> None:
    assert lines(TESTS) >= 1.5 * lines(PACKAGES)


@pytest.mark.parametrize("path", SOURCE, ids=name)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(tree(path))


def exported(folder: Path) -> set[str]:
    """What the ``__all__`` of a package names."""
    for node in tree(folder / "__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("path", [p for p in SOURCE if p.parent != ROOT / "fairq"])
def test_files_in_folders_are_private_or_exported(path: Path) -> None:
    public = ("__init__.py", "__main__.py")
    single = path.parent.name == "fairq_backends"  # each file is one backend
    private = path.name.startswith("_") or path.name in public or single
    assert private or path.stem in exported(path.parent)


FACADES = [p for p in SOURCE if p.name == "__init__.py" and "__all__" in p.read_text()]


@pytest.mark.parametrize("path", FACADES, ids=name)
def test_a_facade_exports_what_it_imports_and_nothing_else(path: Path) -> None:
    imported = {
        alias.name
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(names) == len(set(names))
    assert imported == set(names)


@pytest.mark.parametrize("path", modules((*PACKAGES, *TESTS)), ids=name)
def test_nothing_is_left_to_do(path: Path) -> None:
    marks = ["TO" + "DO", "FIX" + "ME", "X" * 3]
    text = path.read_text()
    assert [] == [mark for mark in marks if mark in text]


@pytest.mark.parametrize("path", modules((*PACKAGES, *TESTS)), ids=name)
def test_every_exemption_gives_a_reason(path: Path) -> None:
    marks = ("# no" + "qa:", "# type: " + "ignore[")
    for line in path.read_text().splitlines():
        for mark in marks:
            if mark in line:
                reason = line.split(mark, 1)[1]
                assert "  # " in reason, line


def test_the_kernel_never_iterates_over_a_set() -> None:
    """A set may be tested for membership; its order depends on the hash seed."""
    loops = (ast.For, ast.comprehension)
    for path in modules(("fairq",)):
        for node in ast.walk(tree(path)):
            if isinstance(node, loops):
                assert not is_set(node.iter), f"{name(path)}: {ast.unparse(node)}"


def is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in {"set", "frozenset"}
