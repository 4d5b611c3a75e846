"""``python -m property_tests``: what it refuses, and the file it writes."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from property_tests.__main__ import main
from property_tests.record import Proof, Record, World
from property_tests.suite import PARTS, REST, Watcher, part_of
from property_tests.summary import show, summary

ROOT = Path(__file__).parents[1] / "property_tests"


def record() -> Record:
    made = Record()
    made.ratio("T10 late", Fraction(1, 2), generated=True)
    made.ratio("T10 late", Fraction(1, 4), generated=True)
    made.ratio("T2 early", Fraction(1), generated=False)
    made.exact("T8 exact")
    made.mutants = {"found": "model", "missed": None}
    made.worlds.append(World("small", 7, 3))
    made.proofs["lemma"] = Proof(proved=True, refuted=("no lift",))
    return made


def test_the_file_says_what_was_seen() -> None:
    seen = json.loads(json.dumps(summary("dev", Watcher(), record())))

    assert {"T2 early": 1.0, "T8 exact": None, "T10 late": 0.5} == seen["theorems"]
    assert ["T2 early", "T8 exact", "T10 late"] == list(seen["theorems"])
    assert {"T10 late": 0.5} == seen["generated"]
    assert {"planted": 2, "found": 1, "survivors": ["missed"]} == seen["mutants"]
    assert [{"config": "small", "states": 7, "depth": 3}] == seen["worlds"]
    lemma = {"proved": True, "refuted_without": ["no lift"]}
    assert {"lemma": lemma} == seen["proofs"]


def test_the_tables_name_what_nobody_found(capsys: pytest.CaptureFixture[str]) -> None:
    show("dev", Watcher(), record())

    printed = capsys.readouterr().out
    assert "NOBODY" in printed
    assert "1 of 2 found" in printed


def test_a_mutated_kernel_says_nothing_of_the_bounds() -> None:
    made = Record()
    with made.silent():
        made.ratio("T2", Fraction(1), generated=True)
    assert {} == made.theorems
    made.ratio("T2", Fraction(1, 3), generated=True)
    assert {"T2": Fraction(1, 3)} == made.theorems


def test_every_file_of_tests_belongs_to_a_part() -> None:
    names = [path.name for path in sorted(ROOT.glob("test_*.py"))]
    found = [part_of(f"property_tests/{name}") for name in names]
    assert {*PARTS, REST} == set(found)


def test_an_unfinished_run_is_not_complete() -> None:
    watcher = Watcher()
    watcher.pytest_sessionfinish(pytest.ExitCode.INTERRUPTED)
    assert not watcher.complete
    watcher.pytest_sessionfinish(pytest.ExitCode.TESTS_FAILED)
    assert watcher.complete


@pytest.mark.parametrize("where", ["nowhere/out.json", "."])
def test_a_file_that_cannot_be_written_is_refused_before_the_tests(
    where: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--json", str(tmp_path / where)])

    assert caught.value.code == 2
    assert "cannot write" in capsys.readouterr().err


def test_an_unknown_profile_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--profile", "quick"])

    assert caught.value.code == 2
    assert "deep" in capsys.readouterr().err
