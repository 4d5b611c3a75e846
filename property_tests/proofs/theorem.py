"""A theorem whose hypotheses have names, so that each can be left out."""

from collections.abc import Mapping

import attrs
import z3

from property_tests.proofs.harness import counterexample, prove


@attrs.frozen
class Theorem:
    """If all that is given and all hypotheses hold, so does the goal."""

    goal: z3.BoolRef
    given: tuple[z3.BoolRef, ...]
    """What the words mean: signs, definitions."""
    hypotheses: Mapping[str, z3.BoolRef] = attrs.field(factory=dict)

    def prove(self) -> None:
        prove(self.goal, *self.given, *self.hypotheses.values())

    def refute_without(self, name: str) -> z3.ModelRef:
        """A case in which all but one hypothesis hold, and the goal does not."""
        others = [h for other, h in self.hypotheses.items() if other != name]
        assert len(others) == len(self.hypotheses) - 1
        return counterexample(self.goal, *self.given, *others)

    def refute(self) -> z3.ModelRef:
        """It is no theorem: a case in which the goal does not hold."""
        return counterexample(self.goal, *self.given, *self.hypotheses.values())
