"""docs/peers.md: every known bug has a row, and every test that is named exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from property_tests.peers import PAGE, Row, link_of, row, rows

ROOT = Path(__file__).parents[1]
GROUPS = {"A": 15, "B": 11, "C": 18, "D": 8, "E": 17}
LEAST_REASON = 20
"""Characters; less is no reason."""

table = rows()
each_row = pytest.mark.parametrize("row", table, ids=[row.id for row in table])


@cache
def names_in(file: str) -> list[str]:
    """Functions and methods of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.walk(tree) if isinstance(node, kinds)]


def test_there_is_one_row_for_each_bug() -> None:
    expected = [f"{g}{n}" for g, most in GROUPS.items() for n in range(1, most + 1)]
    assert 69 == len(expected)
    assert expected == [row.id for row in table]


@each_row
def test_a_bug_is_covered_or_cannot_occur(row: Row) -> None:
    assert row.covered != bool(row.reason)
    if row.reason:
        assert len(row.reason) >= LEAST_REASON
    else:
        assert len(row.invariant) >= LEAST_REASON


@each_row
def test_every_test_that_is_named_exists(row: Row) -> None:
    for file, name in row.tests:
        assert name in names_in(file)


def test_the_page_says_how_many_there_are() -> None:
    covered = sum(row.covered for row in table)
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    said = re.search(r"(\d+) could occur here and have a test; (\d+) cannot", text)
    assert said is not None
    assert (covered, len(table) - covered) == (int(said[1]), int(said[2]))


def test_a_row_that_is_no_row_is_refused() -> None:
    with pytest.raises(ValueError, match="should read"):
        link_of("[`tests/test_a.py::test_b`](../tests/test_c.py)")
    with pytest.raises(ValueError, match="unpack"):
        row("| A1 | too | few |")
