"""What one step computes, as rows: the form in which every device executes it.

A *row* is one position of one sequence. Rows of decodes come first, one for each, then
the rows of the chunks, each chunk in one piece; then padding, when a device wants it.
"""

import attrs
from torch import Tensor

__all__ = ["Span", "StepLayout"]


@attrs.frozen
class Span:
    """Consecutive positions of one sequence: a chunk of prompt work."""

    slot: int
    """The sequence's row in ``Standing.tables``."""

    start: int
    """Position of the first row, 0-based."""

    length: int
    """Rows, >= 1."""

    first_row: int
    """Where they begin in the step."""


@attrs.frozen(kw_only=True, eq=False)
class StepLayout:
    """One step. T rows, of which ``padding`` at the end belong to nobody."""

    tokens: Tensor
    """(T,) int64: what stands at each row's position; 0 where padding is."""

    positions: Tensor
    """(T,) int64: position of each row in its sequence; 0 where padding is."""

    decode_slots: Tensor
    """(B,) int64: slot of each decode; rows 0 .. B - 1 are theirs."""

    spans: tuple[Span, ...]
    """The chunks, in the order of their rows."""

    sample_rows: Tensor
    """(R,) int64: rows after which a token is drawn."""

    sample_slots: Tensor
    """(R,) int64: whose they are."""

    longest: int
    """Positions that the longest context of a decode has after this step; 0 without
    decodes. An upper bound is as good."""

    padding: int = 0
    """Rows at the end that belong to nobody."""

    @property
    def decodes(self) -> int:
        """B."""
        return len(self.decode_slots)

    @property
    def rows(self) -> int:
        """Rows that belong to somebody: T - padding."""
        return len(self.tokens) - self.padding
