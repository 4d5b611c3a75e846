"""Moves that a kernel must not make: the induction has to fail at each of them."""

import attrs
import z3

from property_tests.proofs import gate_moves
from property_tests.proofs.gate import Way
from property_tests.proofs.gate_moves import After, Before, Move
from property_tests.proofs.harness import largest

TRUE = z3.BoolVal(val=True)
FALSE = z3.BoolVal(val=False)


def arrive_unlifted(before: Before) -> After:
    waits = attrs.evolve(before.subject, waits=TRUE)
    return attrs.evolve(gate_moves.arrive(before), subject=waits)


def arrive_at_a_late_floor(before: Before) -> After:
    """Lifted to the floor as it was, not brought up to date."""
    lifted = largest(before.subject.counter, before.all.floor)
    after = gate_moves.arrive(before)
    subject = attrs.evolve(after.subject, counter=lifted)
    g = attrs.evolve(before.all, nobody=FALSE)
    return attrs.evolve(after, all=g, subject=subject)


def admit_past_the_gate(before: Before) -> After:
    """Measured against anything."""
    anything = attrs.evolve(before, lowest=z3.Real("anything"))
    return gate_moves.admit(anything)


def admit_out_of_order(before: Before) -> After:
    """With prompts of others half computed; as with the floor first."""
    free = attrs.evolve(before, way=Way.FLOOR_FIRST)
    after = gate_moves.admit(before)
    return attrs.evolve(after, guard=gate_moves.admit(free).guard)


def refund_of_the_counter_only(before: Before) -> After:
    after = gate_moves.refund(before)
    kept = attrs.evolve(after.subject, prepaid=before.subject.prepaid)
    return attrs.evolve(after, subject=kept)


def refund_at_a_late_floor(before: Before) -> After:
    """The floor is not brought up to date."""
    return attrs.evolve(gate_moves.refund(before), all=before.all)


def depart_unnoticed(before: Before) -> After:
    """Who left last is still somebody else."""
    after = gate_moves.depart(before)
    gone = attrs.evolve(after.subject, left_last=before.subject.left_last)
    return attrs.evolve(after, subject=gone, bystander=before.bystander)


WRONG: tuple[tuple[Way, Move], ...] = (
    *((way, arrive_unlifted) for way in Way),
    *((way, arrive_at_a_late_floor) for way in Way),
    *((way, admit_past_the_gate) for way in Way),
    *((way, depart_unnoticed) for way in Way),
    (Way.IN_ORDER, admit_out_of_order),
    (Way.IN_ORDER, refund_of_the_counter_only),
    (Way.FLOOR_FIRST, refund_of_the_counter_only),
    (Way.FLOOR_FIRST, refund_at_a_late_floor),
)
