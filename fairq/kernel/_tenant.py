"""One tenant: its queue, its batch members, its virtual counter."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs

from fairq.kernel._clock import StepClock
from fairq.request import RequestId

if TYPE_CHECKING:  # a sequence knows its tenant; at run time only that way round
    from fairq.kernel._sequence import Sequence


@attrs.define(eq=False)
class Tenant:
    """What the kernel knows of one tenant.

    Output tokens are not counted one by one: ``decoding`` members produce one token
    each per step, so the count is a rate times elapsed steps plus an offset, and is
    computed when somebody asks. All charges are whole multiples of the two prices.
    """

    name: str
    weight: float
    prompt_price: int
    output_price: int
    clock: StepClock

    lifted: int = 0
    """What lifts have added to the counter."""
    prompt_tokens: int = 0
    """Prompt positions charged, minus those refunded."""
    prepaid: int = 0
    """Of those, positions that are not computed yet."""
    outputs_offset: int = 0
    """Output tokens, minus ``decoding`` times the tick."""
    decoding: int = 0
    """Members that produce one token per step."""
    granted: int = 0
    """Sum of ``max_tokens`` of the batch members, ever admitted, minus what members
    that are gone did not use: outputs still owed are ``granted - outputs``."""

    waiting: "OrderedDict[RequestId, Sequence]" = attrs.field(factory=OrderedDict)
    """Its queue, oldest first."""
    running: "dict[RequestId, Sequence]" = attrs.field(factory=dict)
    """Its batch members, in the order of admission."""

    pending: int = 0
    """Charge of the draft that is being built; 0 outside of ``plan``."""
    _ahead: "Iterator[Sequence] | None" = None
    _head: "Sequence | None" = None

    @property
    def outputs(self) -> int:
        """Output tokens produced so far."""
        return self.outputs_offset + self.decoding * self.clock.tick

    @property
    def owed(self) -> int:
        """Output tokens the batch members may still produce."""
        return self.granted - self.outputs

    @property
    def counter(self) -> int:
        """The virtual counter, in 1/SCALE service units per unit of weight."""
        return (
            self.lifted
            + self.pending
            + self.prompt_price * self.prompt_tokens
            + self.output_price
            * (self.outputs_offset + self.decoding * self.clock.tick)
        )

    @property
    def oldest(self) -> int:
        """Number of the oldest request that the draft has not taken yet."""
        if self._ahead is None:
            return next(iter(self.waiting))
        # A tenant whose queue the draft has emptied is in no heap, so has no turn.
        assert self._head is not None  # noqa: S101  # see above
        return self._head.id

    def head(self) -> "Sequence | None":
        """The oldest request that the draft has not taken yet."""
        if self._ahead is None:
            return next(iter(self.waiting.values()), None)
        return self._head

    def draw(self, charge: int) -> None:
        """The draft takes the head and will charge for it."""
        if self._ahead is None:
            self._ahead = iter(self.waiting.values())
            next(self._ahead)
        self._head = next(self._ahead, None)
        self.pending += charge

    def forget_draft(self) -> None:
        """As if nothing had been drawn."""
        self.pending = 0
        self._ahead = None
        self._head = None
