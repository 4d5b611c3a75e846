"""What holds for a whole run: capacity, prices, order and limits."""

from fractions import Fraction
from functools import cached_property

import attrs

UNIT = 2**32
"""Prices and the slack are rounded to 1/UNIT; nothing else is."""


def rounded(number: Fraction) -> Fraction:
    """To the nearest 1/UNIT."""
    return Fraction(round(UNIT * number), UNIT)


@attrs.frozen(kw_only=True)
class Rules:
    """Everything that a caller can set; ``slack`` None is first come, first served."""

    blocks: int
    block_size: int
    sequences: int
    budget: int
    weights: dict[str, float]
    prompt_cost: float
    output_cost: float
    slack: float | None
    reserve: bool
    max_waiting: int | None
    max_waiting_per_tenant: int | None
    max_failures: int

    @property
    def slots(self) -> int:
        """The batch never has more members than the budget has tokens."""
        return min(self.sequences, self.budget)

    @cached_property
    def gate(self) -> Fraction | None:
        """The slack in the unit of counters."""
        return None if self.slack is None else rounded(Fraction(self.slack))

    def price(self, cost: float, tenant: str) -> Fraction:
        """What a token adds to the counter of a tenant."""
        return rounded(Fraction(cost) / Fraction(self.weights.get(tenant, 1.0)))

    def blocks_for(self, positions: int) -> int:
        """Blocks that hold so many positions."""
        return -(-positions // self.block_size)
