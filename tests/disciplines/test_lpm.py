import attrs
import pytest

from fairq import Lpm
from fairq.disciplines import width


@attrs.frozen
class View:
    """A tenant, as far as a discipline may look."""

    counter: int
    oldest: int


def test_whoever_came_first_goes_first_whatever_it_has_had() -> None:
    assert Lpm().turn(View(10**12, oldest=0)) < Lpm().turn(View(0, oldest=1))


def test_it_has_no_gate_and_so_no_bound() -> None:
    assert Lpm().slack is None


def test_everybody_may_go_ahead_of_everybody() -> None:
    found = width(Lpm())
    assert found is not None
    assert found > Lpm().turn(View(0, oldest=2**63))


def test_nothing_of_it_can_be_set() -> None:
    with pytest.raises(TypeError):
        Lpm(1)  # type: ignore[call-arg]  # that it is refused is the test


def test_it_is_called_lpm() -> None:
    assert Lpm().name == "lpm"
