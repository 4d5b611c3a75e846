"""docs/guarantees.md: each promise names what would notice if it were broken."""

import ast
import re
from functools import cache
from pathlib import Path

import attrs
import pytest

from property_tests.mutants.catalogue import MUTANTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "guarantees.md"
LEAST = 12
"""The statements that the literature asks of a fair scheduler."""


@attrs.frozen
class Guarantee:
    """One section of the page."""

    title: str
    text: str

    def evidence(self, kind: str) -> str:
        """A row of its table; empty if there is none."""
        found = re.search(rf"^\| {kind} \| (.*) \|$", self.text, re.MULTILINE)
        return found[1] if found else ""


def guarantees() -> list[Guarantee]:
    parts = re.split(
        r"^## \d+\. ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )[1:]
    return [Guarantee(*part.split("\n", 1)) for part in parts]


@cache
def names_in(file: str) -> list[str]:
    """Functions and methods of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in ast.walk(tree) if isinstance(node, kinds)]


each = pytest.mark.parametrize("each", guarantees(), ids=lambda g: g.title)


def test_there_are_enough() -> None:
    assert len(guarantees()) >= LEAST


@each
def test_a_guarantee_says_what_when_and_why(each: Guarantee) -> None:
    for word in ("Promise", "When", "Why"):
        found = re.search(rf"^\*\*{word}\.\*\* (.{{6}})", each.text, re.MULTILINE)
        assert found, word


@each
def test_a_guarantee_names_tests_that_exist(each: Guarantee) -> None:
    links = re.findall(r"\[`(\S+?)::(\w+)`\]\(\.\./(\S+?)\)", each.evidence("tests"))
    assert links
    for file, name, target in links:
        assert file == target
        assert name in names_in(file)


@each
def test_a_guarantee_names_bugs_that_are_planted(each: Guarantee) -> None:
    planted = {mutant.name for mutant in MUTANTS}
    names = re.findall(r"\*([^*]+)\*", each.evidence("planted bugs"))
    assert names
    assert set(names) <= planted


def test_every_theorem_of_the_proofs_is_linked() -> None:
    """Modules that state a theorem; the others are what proofs are made with."""
    tools = ("__init__", "harness", "replay", "abstraction", "noted")
    text = PAGE.read_text(encoding="utf-8")
    for path in sorted((ROOT / "property_tests" / "proofs").glob("*.py")):
        assert path.stem in tools or f"proofs/{path.name})" in text, path.name
