"""Theorems that a solver proves, and refutes once a hypothesis is left out.

The lemma of the gate has a file of its own, ``test_proofs_gate``.
"""

from collections.abc import Callable

import pytest
import z3

from property_tests.proofs import block_calendar, calendar, charges, ledger, prices
from property_tests.proofs.harness import prove, satisfiable, value
from property_tests.proofs.noted import note
from property_tests.proofs.theorem import Theorem

# --- the harness --------------------------------------------------------------------


def test_what_does_not_follow_is_not_proved() -> None:
    x = z3.Real("x")

    with pytest.raises(AssertionError, match="does not follow"):
        prove(x >= 1, x >= 0)


def test_nothing_follows_from_hypotheses_that_contradict_each_other() -> None:
    x = z3.Real("x")

    with pytest.raises(AssertionError, match="contradict"):
        prove(x >= 1, x >= 2, x <= 1)


def test_no_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fermat for n = 3, in a millisecond."""
    x, y, z = z3.Ints("x y z")
    monkeypatch.setattr("property_tests.proofs.harness.TIMEOUT_MS", 1)

    with pytest.raises(AssertionError, match="gave up"):
        satisfiable(x > 0, y > 0, z > 0, x * x * x + y * y * y == z * z * z)


# --- what a tenant is committed to --------------------------------------------------

FORMS = {"max form": prices.max_form(), "sum form": prices.sum_form()}
FORMS_WITHOUT = [(form, name) for form in FORMS for name in FORMS[form].hypotheses]


@pytest.mark.parametrize("form", FORMS)
def test_a_commitment_is_within_the_form_of_the_papers(form: str) -> None:
    FORMS[form].prove()
    note(form)


@pytest.mark.parametrize(("form", "name"), FORMS_WITHOUT)
def test_without_one_hypothesis_a_commitment_exceeds_the_form(
    form: str, name: str
) -> None:
    model = FORMS[form].refute_without(name)

    assert prices.excess(model, maximum=form == "max form") > 0
    note(form, name)


# --- lazy counting ------------------------------------------------------------------

LAZY = "outputs are counted lazily"
BLOCKS = "blocks come when they are due"


def rate_of(model: z3.ModelRef) -> calendar.Rate:
    terms = (value(model, n) for n in z3.Ints("offset decoding tick outputs"))
    return calendar.Rate(*(int(term) for term in terms))


@pytest.mark.parametrize("name", calendar.MOVES)
def test_counting_lazily_is_counting_one_by_one(name: str) -> None:
    calendar.keeps(calendar.MOVES[name]).prove()
    note(LAZY)


@pytest.mark.parametrize("name", calendar.WRONG_MOVES)
def test_counting_lazily_and_wrong_is_found(name: str) -> None:
    wrong = calendar.WRONG_MOVES[name]

    now = rate_of(calendar.keeps(wrong).refute())

    assert now.agrees()
    assert not wrong(now).agrees()
    note(LAZY, name)


def test_a_sequence_ends_at_its_tick_in_the_calendar() -> None:
    calendar.ends_on_time().prove()
    note("ends come when they are due")


@pytest.mark.parametrize("late", [1, -1])
def test_no_other_tick_would_do(late: int) -> None:
    calendar.ends_on_time(late).refute()
    note("ends come when they are due", f"at that tick {late:+}")


BLOCK_LEMMAS = [
    block_calendar.only_zero_is_near,
    block_calendar.multiples_add_up,
    block_calendar.comes_round,
    block_calendar.never_lacks_a_block,
]


@pytest.mark.parametrize("lemma", BLOCK_LEMMAS)
def test_a_block_comes_exactly_when_it_is_needed(
    lemma: Callable[[], Theorem],
) -> None:
    lemma().prove()
    note(BLOCKS)


def test_a_bucket_one_tick_off_is_wrong() -> None:
    block_calendar.comes_round(late=1).refute()
    block_calendar.never_lacks_a_block(due_at=1).refute()
    note(BLOCKS, "at that very tick")


def test_who_has_no_block_for_its_first_token_lacks_one() -> None:
    name = "it has the block for its first new token"

    block_calendar.never_lacks_a_block().refute_without(name)
    note(BLOCKS, name)


# --- charges and blocks -------------------------------------------------------------

CONSERVED = "charges are conserved"
EXACT = "a refund undoes a charge"
LEDGER = "blocks are conserved"

CONSERVING: dict[str, Theorem] = {
    "start": charges.starts_fresh(),
    "admit": charges.keeps(charges.admit),
    "chunk": charges.keeps_in_a_chunk(),
    "decode": charges.keeps_in_a_decode(),
    "preempt": charges.keeps(charges.preempt),
    "over": charges.settles(),
}
CONSERVING_WITHOUT = [
    (move, name) for move in CONSERVING for name in CONSERVING[move].hypotheses
]
LEDGER_MOVES = [ledger.take, ledger.commit, ledger.fail, ledger.end]


@pytest.mark.parametrize("move", CONSERVING)
def test_what_is_charged_is_computed_once_or_prepaid(move: str) -> None:
    CONSERVING[move].prove()
    note(CONSERVED)


@pytest.mark.parametrize(("move", "name"), CONSERVING_WITHOUT)
def test_without_one_hypothesis_a_charge_is_lost_or_doubled(
    move: str, name: str
) -> None:
    CONSERVING[move].refute_without(name)
    note(CONSERVED, name)


def test_without_a_mark_a_preempted_prompt_is_charged_twice() -> None:
    charges.keeps(charges.preempt_without_mark).refute()
    note(CONSERVED, "a high-water mark")


def test_refunding_a_whole_prompt_gives_work_away() -> None:
    charges.settles(everything=True).refute()
    note(CONSERVED, "a refund of what is prepaid")


def test_a_refund_undoes_a_charge_exactly() -> None:
    charges.refund_undoes_charge().prove()
    note(EXACT)


def test_charges_that_are_rounded_one_by_one_drift() -> None:
    charges.refund_undoes_rounded_charge().refute()
    note(EXACT, "whole prices")


@pytest.mark.parametrize("move", LEDGER_MOVES)
def test_no_block_is_lost_or_made(move: Callable[[], Theorem]) -> None:
    move().prove()
    note(LEDGER)


def test_taking_more_than_there_is_makes_blocks() -> None:
    name = "no more is taken than there is"

    ledger.take().refute_without(name)
    note(LEDGER, name)


def test_a_block_handed_on_and_not_withdrawn_is_there_twice() -> None:
    ledger.commit(withdraw=False).refute()
    note(LEDGER, "blocks handed on are withdrawn")
