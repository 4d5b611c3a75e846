import attrs
import pytest

from fairq import Dlpm, UsageError, Vtc
from fairq.cost import SCALE
from fairq.disciplines import width


@attrs.frozen
class View:
    """A tenant, as far as a discipline may look."""

    counter: int
    oldest: int


def test_the_turn_is_the_round_of_the_counter() -> None:
    dlpm = Dlpm(10.0)
    turns = [dlpm.turn(View(c * SCALE, oldest=0)) for c in (0, 9, 10, 19, 20, 105)]
    assert [0, 0, 1, 1, 2, 10] == turns


def test_inside_a_round_tenants_are_equal() -> None:
    dlpm = Dlpm(10.0)
    assert dlpm.turn(View(0, oldest=5)) == dlpm.turn(View(9 * SCALE, oldest=0))


@pytest.mark.parametrize("counter", [0, 1, 7, 12345678901])
def test_without_a_quantum_the_turn_is_that_of_vtc(counter: int) -> None:
    view = View(counter, oldest=0)
    assert Vtc().turn(view) == Dlpm(0).turn(view)


def test_a_turn_never_falls_when_the_counter_grows() -> None:
    turns = [Dlpm(0.25).turn(View(c * SCALE // 7, oldest=0)) for c in range(100)]
    assert sorted(turns) == turns
    assert len(set(turns)) > 9


def test_its_slack_is_the_quantum_and_nobody_goes_ahead_of_its_round() -> None:
    assert Dlpm(25.0).slack == 25.0
    assert width(Dlpm(25.0)) == 0


def test_it_is_called_dlpm() -> None:
    assert Dlpm(1).name == "dlpm"


@pytest.mark.parametrize("quantum", [-1, float("nan"), float("inf"), None, "1", True])
def test_a_quantum_that_is_not_finite_or_negative_is_refused(quantum: object) -> None:
    with pytest.raises(UsageError, match=r"Dlpm\.quantum"):
        Dlpm(quantum)  # type: ignore[arg-type]  # wrong types are the test


def test_two_of_the_same_quantum_are_equal() -> None:
    assert Dlpm(3.0) == Dlpm(3.0)
    assert Dlpm(3.0) != Dlpm(4.0)
