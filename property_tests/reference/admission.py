"""Whether there will be blocks for a request that would join the batch.

The documentation says what is forecast and in which direction the forecast moves. The
numbers (sixteenths, sixty-fourths, quarters, all rounded down in units of 1/2**16) were
taken from the docstrings and constants of the kernel's admission rules.
"""

from property_tests.reference.request import RequestModel
from property_tests.reference.rules import Rules

WHOLE = 2**16


class AdmissionModel:
    """Reserve: all that everybody may ever need. Optimistic: now, and a forecast."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.mean: int | None = None
        """Output tokens of a request as it is expected, in 1/WHOLE; None before any
        has ended."""
        self.part = WHOLE
        """How much of the growth that is forecast must fit, in 1/WHOLE."""

    def blocks(self, request: RequestModel) -> int:
        """Its known tokens and the first new one, if that is ever fed back."""
        return self._rules.blocks_for(min(len(request.known) + 1, request.worst))

    def fits(self, batch: list[RequestModel], head: RequestModel, free: int) -> bool:
        """Whether it can join the batch (who is about to join it included)."""
        together = [*batch, head]
        if self._rules.reserve:
            promised = [self._rules.blocks_for(each.worst) for each in together]
            return sum(promised) <= self._rules.blocks
        left = free - self.blocks(head)
        # Alone it fits whatever is forecast.
        return left >= 0 and (not batch or self._growth(together) <= left)

    def _growth(self, together: list[RequestModel]) -> int:
        """Blocks kept for what they are expected to produce from now on."""
        expected = sum(each.max_tokens for each in together)
        if self.mean is not None:
            expected = min(expected, len(together) * self.mean // WHOLE)
        growth = max(0, expected - sum(len(each.outputs) for each in together))
        return self._rules.blocks_for(self.part * growth // WHOLE)

    def ended(self, produced: int) -> None:
        """A request has ended by itself: an average over about 16 of them."""
        if self._rules.reserve:
            return
        if self.mean is None:
            self.mean = WHOLE * produced
        self.mean += (WHOLE * produced - self.mean) // 16
        self.part -= self.part // 64

    def preempted(self) -> None:
        """A step has preempted somebody; how many makes no difference."""
        if self._rules.reserve:
            return
        self.part += (WHOLE - self.part) // 4
        if self.mean is not None:
            self.mean += self.mean // 16
