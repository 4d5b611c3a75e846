"""One tenant: its queue, its batch members, its virtual counter."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice, takewhile
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
    cached_price: int
    clock: StepClock

    lifted: int = 0
    """What lifts have added to the counter, and prompts found in the cache."""
    prompt_tokens: int = 0
    """Prompt positions charged, minus those refunded or taken over by others."""
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

    passed: int = 0
    """Requests admitted that its oldest one has seen go ahead."""
    pending: int = 0
    """Charge of the draft that is being built; 0 outside of ``plan``."""
    pending_outputs: int = 0
    """Outputs that the members it takes may produce; 0 outside of ``plan``."""
    _taken: "dict[RequestId, Sequence]" = attrs.field(factory=dict)
    """Requests that the draft has taken."""
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

    def oldest_few(self, count: int) -> "list[Sequence]":
        """The oldest requests that the draft has not taken, at most so many."""
        left = (s for s in self.waiting.values() if s.id not in self._taken)
        return list(islice(left, count))

    def draw(self, sequence: "Sequence", charge: int, outputs: int) -> None:
        """The draft takes a request and will charge for it."""
        if self._ahead is None:
            self._ahead = iter(self.waiting.values())
            self._head = next(self._ahead)
        self._taken[sequence.id] = sequence
        while self._head is not None and self._head.id in self._taken:
            self._head = next(self._ahead, None)
        self.pending += charge
        self.pending_outputs += outputs

    def requeue(self, sequence: "Sequence") -> None:
        """Put a request back among those that wait, by age. O(older ones)."""
        older = list(takewhile(lambda id_: id_ < sequence.id, self.waiting))
        self.waiting[sequence.id] = sequence
        for id_ in (sequence.id, *reversed(older)):
            self.waiting.move_to_end(id_, last=False)

    @property
    def passing(self) -> int:
        """Requests that its oldest one has seen go ahead, those of the draft too."""
        head = self.head()
        if head is None:
            return 0
        before = self.passed if head.id == next(iter(self.waiting)) else 0
        return before + sum(id_ > head.id for id_ in self._taken)

    @property
    def has_drawn(self) -> bool:
        """Whether the draft has taken one of its requests."""
        return self._ahead is not None

    def forget_draft(self) -> None:
        """As if nothing had been drawn."""
        self.pending = self.pending_outputs = 0
        self._taken.clear()
        self._ahead = None
        self._head = None
