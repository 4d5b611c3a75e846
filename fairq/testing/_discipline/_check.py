"""``check_discipline``: whether an order of tenants is one that a kernel can serve."""

from collections.abc import Callable
from typing import Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from fairq._validators import is_integer
from fairq.backend import Capacity
from fairq.disciplines import Discipline
from fairq.errors import UsageError
from fairq.policy import Policy
from fairq.request import Request
from fairq.testing._discipline import _obligations as owed
from fairq.testing._discipline._contest import ENOUGH, Contest, longest_wait
from fairq.testing._discipline._turn import check_shape, check_turns
from fairq.testing._obligations import Conformance, ObligationBroken, story
from fairq.testing._search import quiet
from fairq.testing._strategies import capacities, policies, requests
from fairq.testing._transcript._replay import ReplayDiverged, replay

__all__ = ["check_discipline"]

EXAMPLES: Final = 40
HISTORIES: Final = (0, 8 * ENOUGH)
"""Steps in which one tenant is alone before the others come."""


@attrs.frozen
class Visit:
    """Some equal requests, some steps after those before."""

    request: Request
    count: int
    after: int
    cancelled: bool
    """Whether the first of them is cancelled at once."""
    stops: bool
    """Whether each of them ends with its first token."""


@attrs.frozen
class Match:
    """One run."""

    capacity: Capacity
    policy: Policy
    visits: tuple[Visit, ...]
    modest: bool
    """Whether everybody is expected to say little, and so too many are let in."""


def check_discipline(
    factory: Callable[[], Discipline],
    *,
    starves: bool = False,
    examples: int | None = None,
) -> Conformance:
    """Check that a discipline is what a kernel and its bound rely on.

        def test_conformance():
            check_discipline(MyDiscipline)

    First alone: name, slack, and a turn that is a pure integer function of the view,
    does not fall, and is the counter if there is a gate. Then in a kernel: everything
    ends, charges are what was executed, the same calls give the same plans, and, with
    a gate, the lift and the bound. It is the same each time.

    Progress has two halves. Each discipline must let all requests end when no more
    come. And when more always come, what a tenant got long ago must not make it wait:
    after 800 steps alone it may not wait longer than 100 steps for a turn among three.
    A discipline that starves somebody on purpose (the one with the least service first
    and no gate, say) says so with ``starves``; then the second half is not checked.

    Args:
        factory: Makes a discipline; its class, say. It must make equals.
        starves: Whether a tenant may wait for ever while others come.
        examples: Generated cases, >= 1; 40 by default.

    Returns:
        What was done, and what was not; it is printed if that is anything.

    Raises:
        ObligationBroken: an obligation is not kept; an ``AssertionError``. If a kernel
            was involved, a note has the run as a scenario.
        UsageError: an argument is out of its bounds.

    Cost: about 1 s for a discipline that costs nothing.
    """
    count = EXAMPLES if examples is None else examples
    _check_arguments(factory, count)
    discipline = factory()
    who = type(discipline).__name__
    check_shape(who, discipline)
    check_turns(who, factory, count)
    tally = _check_matches(who, factory, count)
    if not starves:
        _check_waits(who, factory)
    return _report(who, tally, starves=starves)


def _check_arguments(factory: object, examples: object) -> None:
    if not callable(factory):
        expected = "something callable that makes a discipline, such as its class"
        msg = f"check_discipline: factory must be {expected}; got {factory!r}."
        raise UsageError(msg)
    if not is_integer(examples) or examples < 1:  # type: ignore[operator]  # is_integer proves it, but cannot tell mypy for object
        msg = f"check_discipline: examples must be an integer >= 1; got {examples!r}."
        raise UsageError(msg)


# --- generated runs -------------------------------------------------------------------


@attrs.define
class Tally:
    """What was done so far."""

    steps: int = 0
    preemptions: int = 0


def _visits() -> st.SearchStrategy[Visit]:
    return st.builds(
        Visit,
        request=requests(max_prompt=8, max_tokens=8, vocabulary=2),
        count=st.integers(1, 5),
        after=st.sampled_from([0, 1, 4, 20]),
        cancelled=st.booleans(),
        stops=st.booleans(),
    )


@st.composite
def _matches(draw: st.DrawFn, factory: Callable[[], Discipline]) -> Match:
    capacity = draw(capacities())
    disciplines: st.SearchStrategy[Discipline] = st.builds(factory)
    policy = draw(policies(capacity=capacity, disciplines=disciplines))
    visits = draw(st.lists(_visits(), min_size=1, max_size=8))
    modest = draw(st.sampled_from([True, True, False]))
    return Match(capacity, policy, tuple(visits), modest)


def _check_matches(who: str, factory: Callable[[], Discipline], count: int) -> Tally:
    tally = Tally()

    @quiet(count)
    @given(match=_matches(factory))
    def run(match: Match) -> None:
        with Contest(who, match.capacity, match.policy) as contest:
            _play(contest, match)
            contest.check_bound()
        tally.steps += contest.steps
        tally.preemptions += contest.kernel.snapshot().preemptions
        _check_same(who, contest, factory)

    run()
    return tally


def _play(contest: Contest, match: Match) -> None:
    if match.modest:
        contest.submit(Request(tenant="a", prompt=[0], max_tokens=1))
        contest.step()
    for visit in match.visits:
        for _ in range(visit.after):
            contest.step()
        ids = [
            contest.submit(visit.request, stops=visit.stops) for _ in range(visit.count)
        ]
        if visit.cancelled and ids[0] is not None:
            contest.cancel(ids[0])
        contest.check_bound()
    contest.finish()


def _check_same(who: str, contest: Contest, factory: Callable[[], Discipline]) -> None:
    """Make the same calls again, with another discipline of the same kind."""
    journal = contest.kernel.journal
    policy = attrs.evolve(journal.policy, discipline=factory())
    try:
        replay(attrs.evolve(journal, policy=policy))
    except ReplayDiverged as diverged:
        try:
            owed.SAME.broken(who, "the same plans again", str(diverged))
        except ObligationBroken as broken:
            broken.add_note(story(journal))
            raise broken from diverged


# --- waiting --------------------------------------------------------------------------


def _check_waits(who: str, factory: Callable[[], Discipline]) -> None:
    for history in HISTORIES:
        steps, name = longest_wait(who, factory(), history)
        if steps > ENOUGH:
            alone = f"after tenant a was alone for {history} steps"
            expected = f"{alone} nobody waits longer than {ENOUGH} steps for a turn"
            owed.WAITS.broken(who, expected, f"tenant {name} waited for {steps}")


def _report(who: str, tally: Tally, *, starves: bool) -> Conformance:
    missing = "waits: somebody may wait for ever, as starves=True says"
    report = Conformance(
        name=who,
        steps=tally.steps,
        preemptions=tally.preemptions,
        not_checked=(missing,) if starves else (),
    )
    report.tell()
    return report
