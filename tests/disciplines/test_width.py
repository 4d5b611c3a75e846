"""How far above the first turn somebody may be and go ahead."""

import pytest

from fairq import Fcfs, Vtc
from fairq.cost import SCALE
from fairq.disciplines import Discipline, TenantView, width


class Plain:
    """A discipline of somebody else, without a width of its own."""

    name = "plain"

    def __init__(self, slack: float | None) -> None:
        self.slack = slack

    def turn(self, tenant: TenantView) -> int:
        return tenant.counter


class Wide(Plain):
    """The same with one."""

    width = 7


@pytest.mark.parametrize("slack", [0.0, 2.5, 1000.0])
@pytest.mark.parametrize("kind", [Vtc, Plain])
def test_it_is_the_slack_in_the_unit_of_turns(kind: type[Plain], slack: float) -> None:
    discipline: Discipline = kind(slack)
    assert slack * SCALE == width(discipline)


@pytest.mark.parametrize("discipline", [Fcfs(), Plain(None)], ids=["fcfs", "plain"])
def test_without_a_slack_nobody_goes_ahead(discipline: Discipline) -> None:
    assert width(discipline) is None


@pytest.mark.parametrize("slack", [None, 2.0])
def test_a_discipline_may_say_otherwise(slack: float | None) -> None:
    assert width(Wide(slack)) == 7
