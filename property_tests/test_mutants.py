"""Every planted bug is found and nobody else accused: what the suite is worth."""

from pathlib import Path
from types import CodeType, FunctionType

import pytest

import fairq.kernel
from property_tests.effort import profile
from property_tests.mutants.catalogue import MUTANTS
from property_tests.mutants.detectors import DETECTORS, Detector, effort, finder
from property_tests.mutants.equivalent import EQUIVALENTS
from property_tests.mutants.patch import Mutant
from property_tests.mutants.prefixes import PREFIXES
from property_tests.record import RECORD

ROUNDS = {"dev": (10, 50), "ci": (10, 50, 200), "deep": (10, 100, 1_000)}
"""Examples that all detectors get in a round: most bugs need few."""
WITHOUT_BEHAVIOUR = ("__init__", "_clock", "_snapshot")
"""Modules of the kernel that hold values and nothing that could be wrong."""


def name(each: Mutant | Detector) -> str:
    return each.name


@pytest.mark.parametrize("mutant", MUTANTS, ids=name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    with mutant.planted():
        found = finder(ROUNDS[profile()])
    RECORD.mutants[mutant.name] = found

    assert found is not None, mutant.breaks


@pytest.mark.parametrize("detector", DETECTORS, ids=name)
def test_a_kernel_without_a_bug_is_not_accused(detector: Detector) -> None:
    for examples in ROUNDS[profile()][:-1]:
        detector.ask(effort(examples))


@pytest.mark.parametrize("mutant", EQUIVALENTS, ids=name)
def test_a_change_that_cannot_be_seen_is_seen_by_nobody(mutant: Mutant) -> None:
    with mutant.planted():
        assert finder((10,)) is None


# --- planting -----------------------------------------------------------------------


def functions() -> list[FunctionType]:
    return [edit.function() for each in MUTANTS for edit in each.edits]


def codes() -> list[CodeType]:
    return [function.__code__ for function in functions()]


def meaning(code: CodeType) -> tuple[object, ...]:
    """What is executed, wherever it stands."""
    constants = [
        meaning(each) if isinstance(each, CodeType) else (type(each), each)
        for each in code.co_consts
    ]
    return code.co_code, code.co_names, *constants


def test_a_bug_is_there_while_it_is_planted_and_gone_afterwards() -> None:
    before = codes()

    for mutant in MUTANTS:
        changed = [edit.function() for edit in mutant.edits]
        sound = [meaning(function.__code__) for function in changed]
        with mutant.planted():
            for one, other in zip(sound, changed, strict=True):
                assert one != meaning(other.__code__)
    assert all(one is two for one, two in zip(before, codes(), strict=True))


def test_a_bug_is_gone_after_an_error() -> None:
    before = codes()

    with pytest.raises(ZeroDivisionError), MUTANTS[0].planted():
        raise ZeroDivisionError
    assert before == codes()


def test_bugs_have_names_of_their_own_and_say_what_they_break() -> None:
    names = [each.name for each in (*MUTANTS, *EQUIVALENTS)]

    assert sorted(set(names)) == sorted(names)
    assert len(MUTANTS) >= 30
    assert all(each.breaks.endswith(".") for each in MUTANTS)


def test_every_module_of_the_kernel_has_a_bug_planted() -> None:
    paths = Path(fairq.kernel.__file__).parent.glob("*.py")
    modules = {path.stem for path in paths}.difference(WITHOUT_BEHAVIOUR)
    mutants = (*MUTANTS, *PREFIXES)
    planted = {module.rpartition(".")[2] for each in mutants for module in each.modules}

    assert modules <= planted
