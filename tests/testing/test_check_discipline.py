"""The kit finds each way in which a discipline can be wrong, and says which it was."""

from collections.abc import Callable
from typing import Any, cast

import attrs
import pytest

from fairq import Discipline, Fcfs, UsageError, Vtc
from fairq.disciplines import TenantView
from fairq.testing import check_discipline
from fairq.testing._discipline import _contest
from fairq.testing._discipline import _obligations as owed
from fairq.testing._discipline._contest import longest_wait
from fairq.testing._obligations import Conformance, ObligationBroken
from fairq.testing._transcript._play import check_scenario
from tests.testing.bad_disciplines import (
    BAD,
    Alternating,
    Base,
    Billing,
    LeastServed,
    Lowering,
    Pretending,
)
from tests.testing.telling import expect_in_full, told

# --- good ones ------------------------------------------------------------------------


@attrs.frozen
class Coarse:
    """First come, first served, by tens of requests."""

    name: str = "coarse"
    slack: None = None

    def turn(self, tenant: TenantView) -> int:
        return tenant.oldest // 10


GOOD: dict[str, Callable[[], Discipline]] = {
    "Vtc": Vtc,
    "Vtc with a slack": lambda: Vtc(slack=12.5),
    "Fcfs": Fcfs,
    "Coarse": Coarse,
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_discipline_passes_and_everything_was_checked(name: str) -> None:
    report = check_discipline(GOOD[name], examples=15)

    assert () == report.not_checked
    assert name.partition(" ")[0] == report.name
    assert report.steps > 100


# --- bad ones -------------------------------------------------------------------------


def broken(factory: Callable[[], Discipline], **options: Any) -> ObligationBroken:  # noqa: ANN401  # those of check_discipline
    return told(lambda: check_discipline(factory, **options))


FOUND: dict[type[Base], ObligationBroken] = {}


def found(kind: type[Base]) -> ObligationBroken:
    """What is said of one of them; asked for more than once."""
    if kind not in FOUND:
        FOUND[kind] = broken(kind)
    return FOUND[kind]


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__)
def test_a_bad_discipline_is_found_and_told_what_is_wrong(kind: type[Base]) -> None:
    expect_in_full(found(kind), kind, *BAD[kind])


def test_every_obligation_has_a_discipline_that_breaks_it() -> None:
    broken_here = [obligation for obligation, _ in BAD.values()]
    elsewhere = [owed.PROGRESS]
    assert [] == [o.name for o in owed.ALL if o not in [*broken_here, *elsewhere]]


def test_a_run_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """No turn can stop a kernel; a kernel that stops itself must not stop the check."""
    monkeypatch.setattr(_contest, "PATIENCE", 0)

    error = broken(Fcfs, examples=3)

    assert error.obligation is owed.PROGRESS
    assert "requests are left" in str(error)


# --- what they are told ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [Billing, Lowering, Pretending])
def test_a_failure_in_a_kernel_carries_its_run(kind: type[Base]) -> None:
    (note,) = found(kind).__notes__

    head, _, text = note.partition("\n\n")
    call = f'check_scenario(Path("bug.txt"), disciplines=[{kind.__name__}()])'
    assert head.startswith("The run. Save it as bug.txt, ")
    assert head.endswith(f"\n    {call}")
    assert text.startswith("kernel blocks=")
    assert "policy=base" in text


def test_a_run_can_be_replayed_with_the_discipline_at_hand() -> None:
    (note,) = found(Pretending).__notes__

    check_scenario(note.partition("\n\n")[2], disciplines=[Pretending()])


def test_a_run_that_differs_the_second_time_is_told_with_both() -> None:
    error = found(Alternating)

    assert error.__cause__ is not None
    assert str(error.__cause__) in str(error)


# --- waiting --------------------------------------------------------------------------


def test_one_that_starves_may_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    report = check_discipline(LeastServed, starves=True, examples=10)

    missing = "waits: somebody may wait for ever, as starves=True says"
    assert (missing,) == report.not_checked
    assert missing in capsys.readouterr().out


class Hidden(Base):
    """Serves b and c first, whatever a has waiting."""

    def turn(self, tenant: TenantView) -> int:
        return int(getattr(tenant, "name", "b") == "a")


def test_a_priority_that_hides_from_the_view_is_found_by_who_waits() -> None:
    error = broken(Hidden, examples=5)

    assert error.obligation is owed.WAITS
    assert "tenant a waited for" in str(error)


@pytest.mark.parametrize("discipline", [Vtc(), Vtc(slack=50.0), Fcfs()])
def test_a_long_past_does_not_make_anybody_wait(discipline: Discipline) -> None:
    short, _ = longest_wait("it", discipline, 0)
    long, _ = longest_wait("it", discipline, 600)

    assert short == long
    assert long < 28


def test_without_a_lift_the_wait_grows_with_the_past() -> None:
    waits = [longest_wait("it", LeastServed(), steps)[0] for steps in (10, 40, 80)]

    assert sorted(waits) == waits
    assert waits[2] > 4 * waits[0]


# --- arguments ------------------------------------------------------------------------


@attrs.frozen
class NoTurn:
    """Half a discipline."""

    name: str = "half"
    slack: None = None


SHAPES: dict[str, Callable[[], object]] = {
    "half a discipline": NoTurn,
    "a class": lambda: Vtc,
    "a name": lambda: "vtc",
}


@pytest.mark.parametrize("what", SHAPES)
def test_what_is_no_discipline_is_refused(what: str) -> None:
    error = broken(cast("Callable[[], Discipline]", SHAPES[what]))

    assert error.obligation is owed.SHAPE


ARGUMENTS: dict[str, Callable[[], Conformance]] = {
    "check_discipline: factory must be something callable that makes a discipline, "
    "such as its class; got Vtc(slack=0.0, name='vtc').": (
        lambda: check_discipline(cast("Any", Vtc()))
    ),
    "check_discipline: examples must be an integer >= 1; got True.": (
        lambda: check_discipline(Vtc, examples=True)
    ),
}


@pytest.mark.parametrize("message", ARGUMENTS)
def test_a_wrong_argument_says_what_a_right_one_is(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        ARGUMENTS[message]()
    assert message == str(caught.value)
