import attrs
import pytest

from fairq import Discipline, Fcfs, Vtc


@attrs.frozen
class View:
    """A tenant, as far as a discipline may look."""

    counter: int
    oldest: int


def test_whoever_came_first_goes_first_whatever_it_has_had() -> None:
    assert Fcfs().turn(View(10**12, oldest=0)) < Fcfs().turn(View(0, oldest=1))


def test_it_has_no_gate() -> None:
    assert Fcfs().slack is None


def test_its_slack_cannot_be_set() -> None:
    with pytest.raises(TypeError):
        Fcfs(slack=1)  # type: ignore[call-arg]  # that it is refused is the test


def test_it_is_called_fcfs() -> None:
    assert Fcfs().name == "fcfs"


@pytest.mark.parametrize("discipline", [Fcfs(), Vtc()], ids=["fcfs", "vtc"])
def test_every_discipline_keeps_the_protocol(discipline: Discipline) -> None:
    assert discipline.name == discipline.name.lower()
    assert isinstance(discipline.turn(View(0, oldest=0)), int)
