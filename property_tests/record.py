"""What the properties saw on the way, for the table of ``python -m property_tests``.

Tests note here how close they came, and go on; nothing in the tests depends on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import attrs


@attrs.frozen
class World:
    """One exhaustive exploration."""

    config: str
    states: int
    depth: int


@attrs.frozen
class Proof:
    """One theorem that a solver was asked about."""

    proved: bool
    refuted: tuple[str, ...]
    """The hypotheses without which it found a counterexample."""


@attrs.define
class Record:
    """Everything noted since the process began."""

    theorems: dict[str, Fraction | None] = attrs.field(factory=dict)
    """By theorem, the largest ratio of what was seen to what is allowed, in runs that
    were made up and in traces that somebody constructed; None for those that hold
    exactly or not at all."""
    generated: dict[str, Fraction] = attrs.field(factory=dict)
    """The same in runs that were made up alone."""
    mutants: dict[str, str | None] = attrs.field(factory=dict)
    """By planted bug, who found it; None for nobody."""
    worlds: list[World] = attrs.field(factory=list)
    proofs: dict[str, Proof] = attrs.field(factory=dict)
    _listens: bool = True

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Note no ratios in here: what a mutated kernel does says nothing of fairq."""
        self._listens = False
        try:
            yield
        finally:
            self._listens = True

    def ratio(self, theorem: str, ratio: Fraction, *, generated: bool) -> None:
        """Note how much of what a theorem allows was used."""
        if not self._listens:
            return
        self.theorems[theorem] = max(self.theorems.get(theorem) or ratio, ratio)
        if generated:
            self.generated[theorem] = max(self.generated.get(theorem, ratio), ratio)

    def exact(self, theorem: str) -> None:
        """Note that an equality was checked."""
        self.theorems.setdefault(theorem, None)


RECORD = Record()
