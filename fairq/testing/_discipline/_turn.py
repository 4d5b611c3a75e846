"""A discipline by itself: what it says of tenants that are made up."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from fairq._validators import is_finite, is_integer
from fairq.cost import SCALE
from fairq.disciplines import Discipline, width
from fairq.errors import UsageError
from fairq.policy import Policy
from fairq.testing._discipline import _obligations as owed
from fairq.testing._obligations import raised
from fairq.testing._search import quiet

WORD: Final = re.compile(r"[a-z][a-z0-9_-]*")
MEMBERS: Final = ("name", "slack", "turn")

counts = st.one_of(st.integers(0, 9), st.integers(0, 2**40), st.integers(0, 2**96))


@attrs.frozen
class View:
    """All that a discipline may look at, and nothing that it could change."""

    counter: int
    oldest: int

    def __str__(self) -> str:
        return f"counter={self.counter}, oldest={self.oldest}"


views = st.builds(View, counter=counts, oldest=counts)


def check_shape(who: str, discipline: object) -> None:
    """Name and slack.

    Raises:
        ObligationBroken: they are not what they must be.
    """
    missing = [name for name in MEMBERS if not hasattr(discipline, name)]
    if isinstance(discipline, type) or missing:
        owed.SHAPE.broken(who, "name, slack and turn", repr(discipline))
    _check_fields(who, discipline)  # type: ignore[arg-type]  # it has what it takes
    try:
        Policy(discipline=discipline)  # type: ignore[arg-type]  # as above
    except UsageError as error:
        owed.SHAPE.broken(who, "a policy takes it", raised(error))


def _check_fields(who: str, discipline: Discipline) -> None:
    name: object = discipline.name
    if not isinstance(name, str) or not WORD.fullmatch(name):
        owed.NAME.broken(who, "a lower-case word", repr(name))
    if discipline.name != name:
        owed.NAME.broken(who, f"{name!r} again", repr(discipline.name))
    slack = discipline.slack
    if slack is not None and not (is_finite(slack) and slack >= 0):
        owed.SLACK.broken(who, "None or a finite number >= 0", repr(slack))
    if discipline.slack != slack:
        owed.SLACK.broken(who, f"{slack!r} again", repr(discipline.slack))


@attrs.frozen
class Asker:
    """Asks one discipline for turns."""

    who: str
    discipline: Discipline

    def turn(self, view: View) -> int:
        """The turn of a tenant.

        Raises:
            ObligationBroken: there is none, or it is no integer.
        """
        try:
            turn: object = self.discipline.turn(view)
        except AttributeError as error:
            writes = isinstance(error, attrs.exceptions.FrozenError)
            said = "it tried to change them" if writes else raised(error)
            owed.VIEW.broken(self.who, f"a turn from {view}", said)
        except Exception as error:  # noqa: BLE001  # whatever a discipline raises
            owed.RAISES.broken(self.who, f"a turn for {view}", raised(error))
        if not is_integer(turn):
            kind = type(turn).__name__
            owed.INTEGER.broken(
                self.who, f"an integer for {view}", f"{turn!r} ({kind})"
            )
        return int(turn)  # type: ignore[call-overload, no-any-return]  # is_integer proves it

    def check_rises(self, view: View, more: View) -> None:
        """See that serving and admitting do not make the turn fall.

        Raises:
            ObligationBroken: it fell.
        """
        before = self.turn(view)
        served = attrs.evolve(view, counter=view.counter + more.counter)
        admitted = attrs.evolve(view, oldest=view.oldest + more.oldest)
        for later in (served, admitted, attrs.evolve(served, oldest=admitted.oldest)):
            after = self.turn(later)
            if after < before:
                expected = f"at least {before} for {later}, as for {view}"
                owed.FALLS.broken(self.who, expected, after)

    def check_gate(self, one: View, other: View) -> None:
        """See that a gate is one on the counter.

        Raises:
            ObligationBroken: it is not.
        """
        slack = self.discipline.slack
        if slack is None:
            return
        for low, high in ((one, other), (other, one)):
            if low.counter <= high.counter:
                self._check_order(low, high)
        beyond = one.counter + round(SCALE * slack) + 1
        self._check_beyond(one, attrs.evolve(other, counter=beyond))

    def _check_order(self, low: View, high: View) -> None:
        first, last = self.turn(low), self.turn(high)
        if first > last:
            expected = f"at most {last} for {low}, as for {high}"
            owed.GATE.broken(self.who, expected, first)

    def _check_beyond(self, low: View, high: View) -> None:
        """Who is more than the slack above another is not let past it."""
        inside = self.turn(low) + (width(self.discipline) or 0)
        turn = self.turn(high)
        if turn <= inside:
            expected = f"more than {inside} for {high}, because of {low}"
            owed.GATE.broken(self.who, expected, turn)


def check_turns(who: str, factory: Callable[[], Discipline], examples: int) -> None:
    """What it says of generated tenants.

    Raises:
        ObligationBroken: it is not the turn of a discipline.
    """

    @quiet(examples)
    @given(asked=st.lists(views, min_size=1, max_size=6), more=views)
    def run(asked: list[View], more: View) -> None:
        one, other = Asker(who, factory()), Asker(who, factory())
        _check_pure(who, one, other, asked)
        for view in asked:
            one.check_gate(view, more)
            one.check_rises(view, more)
        _check_fields(who, one.discipline)

    run()


def _check_pure(who: str, one: Asker, other: Asker, asked: Sequence[View]) -> None:
    first = [one.turn(view) for view in asked]
    again = [one.turn(attrs.evolve(view)) for view in reversed(asked)]
    others = [other.turn(view) for view in asked]
    for view, *turns in zip(asked, first, reversed(again), others, strict=True):
        if len(dict.fromkeys(turns)) > 1:
            expected = f"{turns[0]} for {view} each time"
            owed.PURE.broken(who, expected, f"{turns[1]}, {turns[2]}")
