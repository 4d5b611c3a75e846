"""The lemma of the gate is proved, each hypothesis is needed, and it is about fairq.

A kernel that runs satisfies, at each step, the invariant that was proved.
"""

from fractions import Fraction

import pytest
import z3
from hypothesis import given

from fairq import Capacity, Policy, Vtc
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from property_tests.programs import (
    STEP,
    Commit,
    Op,
    Player,
    Program,
    Setting,
    Submit,
    programs,
    settings_of_kernels,
)
from property_tests.proofs import gate, gate_moves
from property_tests.proofs.abstraction import Planned, Watch
from property_tests.proofs.gate import Way
from property_tests.proofs.gate_wrong_moves import WRONG
from property_tests.proofs.harness import prove, satisfiable
from property_tests.proofs.noted import note
from property_tests.proofs.replay import Kind, Rule
from property_tests.proofs.stories import Plot, Question

# --- the gate -----------------------------------------------------------------------

GATE = {
    Way.IN_ORDER: "gate, prompts in order",
    Way.FLOOR_FIRST: "gate, floor first",
    Way.NO_REFUNDS: "gate, charges without refunds",
}
SERVICE = "service of two that wait"


@pytest.mark.parametrize("way", Way)
def test_a_fresh_kernel_satisfies_the_invariant(way: Way) -> None:
    g, any_tenant = gate.shared(), gate.tenant("any")

    prove(
        z3.And(gate.of_all(way, g), gate.of_each(way, g, any_tenant)),
        gate.start(g, any_tenant),
    )


def prove_kept(way: Way, move: gate_moves.Move) -> None:
    """From the invariant for the subject, the bystander and the witness."""
    before = gate_moves.before_any(way, gate.shared())
    after = move(before)
    three = (before.subject, before.bystander, before.witness)
    prove(
        z3.And(
            gate.of_all(way, after.all),
            gate.of_each(way, after.all, after.subject),
            gate.of_each(way, after.all, after.bystander),
        ),
        gate.of_all(way, before.all),
        *(gate.of_each(way, before.all, tenant) for tenant in three),
        before.is_lowest(),
        after.guard,
    )


@pytest.mark.parametrize("move", gate_moves.MOVES)
@pytest.mark.parametrize("way", Way)
def test_every_move_keeps_the_invariant(way: Way, move: gate_moves.Move) -> None:
    """That it can happen at all is checked by ``prove``."""
    prove_kept(way, move)


@pytest.mark.parametrize(("way", "move"), WRONG)
def test_a_wrong_move_does_not_keep_it(way: Way, move: gate_moves.Move) -> None:
    with pytest.raises(AssertionError, match="does not follow"):
        prove_kept(way, move)


@pytest.mark.parametrize("way", Way)
def test_the_invariant_bounds_the_gap(way: Way) -> None:
    g, i, j = gate.shared(), gate.tenant("i"), gate.tenant("j")

    prove(
        gate.gap_is_bounded(way, i, j),
        gate.of_all(way, g),
        gate.of_each(way, g, i),
        gate.of_each(way, g, j),
    )
    note(GATE[way])


@pytest.mark.parametrize(
    "bound", [gate.Q + gate.O, gate.Q + gate.O + gate.P], ids=["charged", "executed"]
)
def test_two_that_wait_are_served_alike(bound: z3.ArithRef) -> None:
    goal, hypotheses = gate.service_is_bounded(bound)

    prove(goal, *hypotheses)
    note(SERVICE)


def test_a_lift_between_is_no_service() -> None:
    """The change of a counter that was lifted meanwhile bounds no service."""
    goal, (of_i, *rest) = gate.service_is_bounded(gate.Q + gate.O)
    assert str(of_i) == "i.after == i.before + W_i"

    satisfiable(z3.Not(goal), *rest, gate.Q >= 0, gate.O >= 0)
    note(SERVICE, "no lifts")


# --- each hypothesis of the gate is needed ------------------------------------------

RETURNS_RUNNING: Plot = (
    (Kind.ARRIVE, 0),
    (Kind.ARRIVE, 1),
    (Kind.ADMIT, 0),
    (Kind.ADMIT_LAST, 1),
    (Kind.ADMIT, 0),
    (Kind.ARRIVE, 1),
)
LATE_FLOOR: Plot = (
    (Kind.ARRIVE, 1),
    (Kind.ADMIT_LAST, 1),
    (Kind.ARRIVE, 0),
    (Kind.ARRIVE, 2),
    (Kind.ADMIT, 2),
    (Kind.ADMIT, 0),
    (Kind.ADMIT, 0),
    (Kind.REFUND, 2),
    (Kind.ARRIVE, 1),
)
BOTH_LATE = frozenset({Rule.FLOOR_FIRST, Rule.IN_ORDER})

Break = tuple[frozenset[Rule], int, Plot]
BREAKS: dict[str, Break] = {
    "who returns is lifted": (frozenset({Rule.LIFT}), 4, ()),
    "who returns with members running is lifted": (
        frozenset({Rule.LIFT_OF_RUNNING}),
        6,
        RETURNS_RUNNING,
    ),
    "to who left last when nobody waits": (frozenset({Rule.LAST_LEFT}), 5, ()),
    "the gate": (frozenset({Rule.GATE}), 4, ()),
    "commitments within O": (frozenset({Rule.COMMITMENT}), 3, ()),
    "prepaid within P": (frozenset({Rule.PREPAID}), 4, ()),
    "a refund lowers both": (frozenset({Rule.REFUND_OF_BOTH}), 5, ()),
    "prompts in order or floor first": (BOTH_LATE, 9, LATE_FLOOR),
}


@pytest.mark.parametrize("name", BREAKS)
def test_without_one_hypothesis_a_story_breaks_the_bound(name: str) -> None:
    """The solver's story, run in fractions, obeys all the other rules."""
    dropped, moves, plot = BREAKS[name]
    question = Question(dropped, moves, plot)

    story, happenings = question.answer(question.ends_with(question.bound + 1))

    story.tell(happenings)
    assert story.largest_gap() > story.slack + story.most + story.ahead
    note(GATE[Way.IN_ORDER], name)


@pytest.mark.parametrize("kept", [Rule.FLOOR_FIRST, Rule.IN_ORDER])
def test_either_care_of_refunds_is_enough(kept: Rule) -> None:
    """The plot that breaks the bound without both breaks it with neither of them."""
    question = Question(BOTH_LATE - {kept}, 9, LATE_FLOOR)

    with pytest.raises(AssertionError, match="contradict"):
        question.answer(question.ends_with(question.bound + 1))


def test_a_refund_breaks_the_bound_of_charges() -> None:
    """What is charged may differ by P more, once something is given back."""
    question = Question(frozenset(), 5)
    bound = question.slack + question.most

    story, moves = question.answer(question.ends_with(bound + 1, charged=True))

    story.tell(moves)
    assert Kind.REFUND in [move.kind for move in moves]
    assert story.largest_gap(charged=True) > story.slack + story.most
    note(GATE[Way.NO_REFUNDS], "no refunds")


def test_with_all_rules_no_short_story_breaks_the_bound() -> None:
    """What the stories suppose is no less than what the induction supposes."""
    question = Question(frozenset(), 4)

    with pytest.raises(AssertionError, match="contradict"):
        question.answer(question.ends_with(question.bound + 1))


def test_the_bound_is_reached() -> None:
    """No smaller one would hold, whatever Q, O and P are worth to one another."""
    question = Question(frozenset(), 5)
    apart = (question.slack == 2, question.most == 3, question.ahead == 1)

    story, moves = question.answer(question.ends_with(question.bound), *apart)

    assert Fraction(6) == story.tell(moves).largest_gap()


# --- the proof is about this kernel -------------------------------------------------


class Watched(Player):
    """A player whose kernel is watched."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.watch = Watch(self.kernel)
        self._planned: Planned | None = None

    def do(self, op: Op) -> None:
        before = self.outstanding
        super().do(op)
        if before is None and self.outstanding is not None:
            self._planned = self.watch.plan(self.outstanding)
        if before is not None and self.outstanding is None:
            self._answered(op)
        if self.outstanding is None:
            self.watch.check()

    def _answered(self, op: Op) -> None:
        planned, self._planned = self._planned, None
        assert planned is not None
        if isinstance(op, Commit):
            self.watch.committed(planned)


def is_gated(setting: Setting) -> bool:
    return isinstance(setting.policy.discipline, Vtc)


@given(setting=settings_of_kernels.filter(is_gated), program=programs)
def test_a_kernel_that_runs_satisfies_the_invariant(
    setting: Setting, program: Program
) -> None:
    watched = Watched(setting)

    watched.play(program)
    watched.finish()


ABSENCE: Program = [
    Submit("a", 4, 12, count=4),
    *(STEP * 30),
    Submit("b", 4, 12, count=2),
    *(STEP * 2),
]


def test_a_kernel_that_does_not_lift_does_not_satisfy_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting = Setting(Capacity(blocks=8, block_size=4, max_sequences=1), Policy())
    Watched(setting).play(ABSENCE)

    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self._raise_floor()
        self.backlogged.add(tenant)

    monkeypatch.setattr(VirtualCounters, "join", join)
    with pytest.raises(AssertionError):
        Watched(setting).play(ABSENCE)
