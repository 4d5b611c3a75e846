"""Whatever was done to a kernel can be noted, written down, pickled and done again."""

import pickle
from collections.abc import Sequence

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fairq import Capacity, Events, Idle, Kernel, StepPlan
from fairq.testing import (
    Commit,
    Fail,
    Journal,
    Noted,
    Plans,
    Raised,
    RecordingKernel,
    ReplayDiverged,
    Witness,
    journals,
    plans,
    play,
    record,
    replay,
)
from property_tests.effort import part

indices = st.integers(0, 1000)
"""A place in a journal, modulo its length."""


def again(journal: Journal) -> RecordingKernel:
    """The same calls to a kernel that notes them."""
    kernel = RecordingKernel(journal.capacity, journal.policy)
    assert kernel is replay(journal, kernel)
    return kernel


def pickled(kernel: Kernel) -> Kernel:
    copy = pickle.loads(pickle.dumps(kernel))  # noqa: S301  # our own bytes
    assert isinstance(copy, Kernel)
    return copy


def cut(journal: Journal, where: int) -> tuple[Journal, Journal]:
    """What was done before, and from there on."""
    return (
        attrs.evolve(journal, calls=journal.calls[:where]),
        attrs.evolve(journal, calls=journal.calls[where:]),
    )


# --- doing it again -------------------------------------------------------------------


@given(journals())
def test_every_run_can_be_replayed(journal: Journal) -> None:
    kernel = again(journal)
    assert journal == kernel.journal
    assert replay(journal).snapshot() == kernel.snapshot()


@given(journals())
def test_every_journal_can_be_pickled_and_replayed(journal: Journal) -> None:
    copy = pickle.loads(pickle.dumps(journal))  # noqa: S301  # our own bytes
    assert journal == copy
    assert replay(journal).snapshot() == replay(copy).snapshot()


@part(2)
@given(journals())
def test_every_run_can_be_written_down(journal: Journal) -> None:
    text = journal.scenario()
    assert text == play(text)
    assert journal == record(text)
    assert journal == record(journal.commands())
    assert text == play(journal.scenario().replace("\n----\n", "\n----\nnot this\n"))


# --- pickling a kernel ----------------------------------------------------------------


@given(journal=journals(), where=indices)
def test_a_kernel_that_was_pickled_goes_on_as_if_it_was_not(
    journal: Journal, where: int
) -> None:
    before, after = cut(journal, where % (len(journal.calls) + 1))
    kernel = again(before)
    copy = pickled(kernel)

    assert kernel.snapshot() == copy.snapshot()
    replay(after, copy)
    # The copy shares nothing: the kernel still stands where it was.
    replay(after, kernel)
    assert kernel.snapshot() == copy.snapshot()
    assert isinstance(copy, RecordingKernel)
    assert journal == copy.journal == kernel.journal
    copy.check()


def outstanding(journal: Journal) -> Sequence[int]:
    """The places at which a plan is outstanding."""
    places, waiting = [], False
    for place, noted in enumerate(journal.calls):
        if waiting:
            places.append(place)
        if isinstance(noted.outcome, StepPlan):
            waiting = True
        elif isinstance(noted.call, Commit | Fail) and isinstance(
            noted.outcome, Events
        ):
            waiting = False
    return places


@given(journal=journals(), which=indices)
def test_a_plan_can_be_answered_to_the_pickled_copy_of_a_kernel(
    journal: Journal, which: int
) -> None:
    places = outstanding(journal)
    assume(places)
    before, after = cut(journal, places[which % len(places)])
    copy = pickled(replay(before))

    assert copy.snapshot().outstanding is not None
    assert Idle.AWAITING_RESULT is copy.plan()
    replay(after, copy)
    assert replay(journal).snapshot() == copy.snapshot()


@part(2)
@given(journals())
def test_a_kernel_can_be_pickled_after_every_call(journal: Journal) -> None:
    kernel = Kernel(journal.capacity, journal.policy)
    for place in range(len(journal.calls)):
        step = attrs.evolve(journal, calls=journal.calls[place : place + 1])
        kernel = pickled(replay(step, kernel))
    assert replay(journal).snapshot() == kernel.snapshot()


# --- a journal that is wrong ----------------------------------------------------------


def replaced(journal: Journal, place: int, noted: Noted) -> Journal:
    calls = list(journal.calls)
    calls[place] = noted
    return attrs.evolve(journal, calls=tuple(calls))


@part(2)
@given(journal=journals(), where=indices)
def test_an_outcome_that_was_tampered_with_is_found_where_it_is(
    journal: Journal, where: int
) -> None:
    place = where % len(journal.calls)
    call = journal.calls[place].call
    wrong = Noted(call, Raised("UsageError", "This was never said."))

    with pytest.raises(ReplayDiverged) as caught:
        replay(replaced(journal, place, wrong))

    assert (place, wrong) == (caught.value.index, caught.value.noted)


@part(2)
@given(journal=journals(), where=indices, more=st.integers(1, 3))
def test_a_token_that_was_tampered_with_is_found(
    journal: Journal, where: int, more: int
) -> None:
    places = [
        place
        for place, noted in enumerate(journal.calls)
        if isinstance(noted.outcome, Events) and noted.outcome.tokens
    ]
    assume(places)
    place = places[where % len(places)]
    noted = journal.calls[place]
    assert isinstance(noted.outcome, Events)
    tokens = {id_: token + more for id_, token in noted.outcome.tokens.items()}
    events = attrs.evolve(noted.outcome, tokens=tokens)

    with pytest.raises(ReplayDiverged) as caught:
        replay(replaced(journal, place, Noted(noted.call, events)))

    assert place == caught.value.index


@part(2)
@given(journal=journals(), where=indices)
def test_an_answer_that_is_left_out_is_found(journal: Journal, where: int) -> None:
    places = [
        place
        for place, noted in enumerate(journal.calls)
        if isinstance(noted.call, Commit | Fail) and isinstance(noted.outcome, Events)
    ]
    assume(places)
    place = places[where % len(places)]
    before, after = cut(journal, place)
    kernel = replay(before)

    with pytest.raises(ReplayDiverged):
        replay(attrs.evolve(after, calls=after.calls[1:]), kernel)


# --- plans ----------------------------------------------------------------------------


@given(plans())
def test_drawn_plans_can_be_executed_one_after_another(drawn: Plans) -> None:
    witness = Witness(drawn.journal.capacity)
    for plan in drawn:
        witness.step(plan)
    last = [noted.outcome for noted in drawn.journal.calls][-1]
    assert Idle.NO_WORK is last


@given(plans(capacity=Capacity(blocks=7, block_size=2), vocabulary=5))
def test_drawn_plans_keep_to_the_capacity_and_the_vocabulary(drawn: Plans) -> None:
    assert 7 == drawn.journal.capacity.blocks
    entries = [enter for plan in drawn for enter in plan.enter]
    assert all(token < 5 for enter in entries for token in enter.tokens)
    said = [noted.call for noted in drawn.journal.calls]
    commits = [call for call in said if isinstance(call, Commit)]
    # Those that answer for somebody who was not asked are refused anyway.
    assert all(token < 5 for call in commits for _, token in call.tokens)
