"""Ask the solver, so that no answer is a failure and never a pass.

A theorem is proved when its negation has no model. That says nothing when the
hypotheses contradict each other, so ``prove`` first asks for a model of those.
"""

from fractions import Fraction
from typing import Final

import z3

SEED: Final = 0
TIMEOUT_MS: Final = 20_000


def prove(goal: z3.BoolRef, *hypotheses: z3.BoolRef) -> None:
    """The goal follows from the hypotheses, and these hold somewhere."""
    satisfiable(*hypotheses)
    solver = _solver(z3.Not(goal), *hypotheses)
    answer = solver.check()
    assert z3.unsat == answer, _why(solver, answer)


def counterexample(goal: z3.BoolRef, *hypotheses: z3.BoolRef) -> z3.ModelRef:
    """A model of the hypotheses in which the goal does not hold; there is one."""
    return satisfiable(z3.Not(goal), *hypotheses)


def satisfiable(*facts: z3.BoolRef) -> z3.ModelRef:
    """A model of the facts; there is one."""
    solver = _solver(*facts)
    answer = solver.check()
    assert z3.sat == answer, _why(solver, answer)
    return solver.model()


def value(model: z3.ModelRef, term: z3.ArithRef) -> Fraction:
    """What a number is in a model; what the model leaves open counts as 0."""
    number = model.eval(term, model_completion=True)
    return Fraction(
        number.as_fraction() if z3.is_rational_value(number) else str(number)
    )


def largest(one: z3.ArithRef, other: z3.ArithRef) -> z3.ArithRef:
    return z3.If(one >= other, one, other)


def smallest(one: z3.ArithRef, other: z3.ArithRef) -> z3.ArithRef:
    return z3.If(one <= other, one, other)


def _solver(*facts: z3.BoolRef) -> z3.Solver:
    solver = z3.Solver()
    solver.set("random_seed", SEED)
    solver.set("timeout", TIMEOUT_MS)
    solver.add(*facts)
    return solver


def _why(solver: z3.Solver, answer: z3.CheckSatResult) -> str:
    if answer == z3.sat:
        return f"It does not follow: {solver.model()}"
    if answer == z3.unknown:
        return f"The solver gave up: {solver.reason_unknown()}"
    return "The hypotheses contradict each other."
