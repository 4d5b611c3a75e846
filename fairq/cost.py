"""What work costs: the unit in which tenants are compared.

Service is a weighted count of tokens, as in Sheng et al., "Fairness in Serving Large
Language Models" (OSDI 2024): an input token is cheaper than an output token, because
prompts are computed in parallel and outputs one by one.
"""

from typing import Final

import attrs

from fairq._validators import fail, number

__all__ = ["SCALE", "LinearCost", "price"]

SCALE: Final = 2**32
"""Counters are integers in units of 1/SCALE service units per unit of weight."""


def price(cost: float, weight: float) -> int:
    """What one token adds to the virtual counter of a tenant of that weight.

    This is the only place where fairq rounds: prices are whole numbers, everything
    charged is a whole multiple of a price, and so nothing drifts.
    """
    return round(SCALE * cost / weight)


@attrs.frozen(kw_only=True)
class LinearCost:
    """A price per token; both prices in service units.

    Raises:
        UsageError: a price is negative, zero (output) or not finite.
    """

    prompt: float = attrs.field(default=1.0, validator=number(0, "service units"))
    """For each prompt position computed for the first time, >= 0."""

    output: float = attrs.field(
        default=2.0, validator=number(0, "service units", exclusive=True)
    )
    """For each output token delivered, > 0."""

    cached: float = attrs.field(default=0.0, validator=number(0, "service units"))
    """For each prompt position that was found in the prefix cache instead of being
    computed, >= 0 and at most ``prompt``. Paid once per position, when admitted."""

    @cached.validator
    def _check_cached(self, attribute: "attrs.Attribute[float]", value: float) -> None:
        if value > self.prompt:
            fail(self, attribute, value, f"at most prompt={self.prompt!r}")

    def service(self, prompt_tokens: int, output_tokens: int) -> float:
        """The service that so many tokens are, in service units."""
        return self.prompt * prompt_tokens + self.output * output_tokens
