"""One tenant: its queue, its virtual counter, what it got."""

from fractions import Fraction

import attrs

from property_tests.reference.request import RequestModel


@attrs.define(eq=False)
class TenantModel:
    """A tenant as long as it is remembered."""

    name: str
    prompt_price: Fraction
    output_price: Fraction
    counter: Fraction = Fraction(0)
    prompt_tokens: int = 0
    """Prompt positions computed for the first time."""
    output_tokens: int = 0
    queue: list[RequestModel] = attrs.field(factory=list)
    """Its requests that wait, the next one first."""
    running: list[RequestModel] = attrs.field(factory=list)

    @property
    def service(self) -> Fraction:
        """Per weight: what was computed and delivered, at its prices."""
        prompts = self.prompt_price * self.prompt_tokens
        return prompts + self.output_price * self.output_tokens

    @property
    def prepaid(self) -> Fraction:
        """The part of its counter that is not computed yet."""
        positions = sum(each.prepaid for each in self.queue + self.running)
        return self.prompt_price * positions

    @property
    def rests(self) -> bool:
        """It has no live request."""
        return not self.queue and not self.running
