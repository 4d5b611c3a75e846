import attrs
import pytest

from fairq import UsageError, Vtc


@attrs.frozen
class View:
    """A tenant, as far as a discipline may look."""

    counter: int
    oldest: int


def test_whoever_had_least_goes_first() -> None:
    assert Vtc().turn(View(3, oldest=9)) < Vtc().turn(View(4, oldest=0))


def test_the_turn_is_the_counter_and_so_grows_with_it() -> None:
    assert Vtc(slack=10).turn(View(1234, oldest=0)) == 1234


def test_slack_is_closed_by_default() -> None:
    assert Vtc().slack == 0.0
    assert Vtc(slack=500).slack == 500


def test_it_is_called_vtc() -> None:
    assert Vtc().name == "vtc"


@pytest.mark.parametrize("slack", [-1, float("nan"), float("inf"), None, "1", True])
def test_a_slack_that_is_not_finite_or_negative_is_refused(slack: object) -> None:
    with pytest.raises(UsageError, match=r"Vtc\.slack"):
        Vtc(slack=slack)  # type: ignore[arg-type]  # wrong types are the test
