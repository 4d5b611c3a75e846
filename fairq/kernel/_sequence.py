"""One request inside the kernel, and the life it can lead.

    WAITING ──admit──► PREFILLING ──sample──► DECODING ──► OVER
       ▲                   │                      │
       └─────────────── preempt ──────────────────┘
    and from every state to OVER: cancelled, given up.

While a sequence decodes nothing here changes from step to step: how many tokens it has
produced follows from the step in which it joined.
"""

from array import array
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Final

import attrs

from fairq.errors import InvariantError
from fairq.kernel._node import Hit, Node
from fairq.kernel._snapshot import Phase, RequestSnapshot
from fairq.kernel._tenant import Tenant
from fairq.plan import BlockId
from fairq.request import Request, RequestId
from fairq.tokens import TokenIds

NEXT: Final[Mapping[Phase, tuple[Phase, ...]]] = {
    Phase.WAITING: (Phase.PREFILLING, Phase.OVER),
    Phase.PREFILLING: (Phase.DECODING, Phase.WAITING, Phase.OVER),
    Phase.DECODING: (Phase.WAITING, Phase.OVER),
    Phase.OVER: (),
}
"""The legal moves."""


@attrs.define(eq=False)
class Sequence:
    """The state of one live request."""

    id: RequestId
    request: Request
    tenant: Tenant
    submitted_ns: int
    prompt_length: int

    phase: Phase = Phase.WAITING
    slot: int = -1
    blocks: list[BlockId] = attrs.field(factory=list)
    computed: int = 0
    """Positions with KV; while it decodes, as of ``joined``."""
    reached: int = 0
    """Most positions that ever had KV: computing them again is recomputing."""
    paid: int = 0
    """Prompt positions charged and computed; the high-water mark of charging."""
    prepaid: int = 0
    """Prompt positions charged and not computed yet."""
    outputs: "array[int]" = attrs.field(factory=lambda: array("i"))
    """Output tokens collected; while it decodes, up to tick ``collected``."""
    joined: int = 0
    """Tick at which it began to decode."""
    collected: int = 0
    """Tick up to which ``outputs`` is complete, if it decodes."""
    leaf: Node | None = None
    """Where its table ends in the prefix tree; the table locks that node."""
    hit: Node | None = None
    """Where what it found there when it entered ends."""
    found_ever: int = 0
    """Prompt positions it found instead of computing them for the first time."""
    found: Hit | None = None
    """While it waits: what the last search found."""
    cached: int = 0
    """Positions it did not compute when it entered last: they were in the cache."""
    held_back: int = 0
    """Plans in which it was not admitted because its prefix was being computed."""
    found_last: int = 0
    """Prompt positions that were new to it when it entered last, and cached."""
    group_end: RequestId | None = None
    """The newest request when its prompt was computed: younger ones did not wait."""
    has_shared: bool = False
    """Others have taken over their part of what it computed."""
    promised: int = 0
    """Blocks of its own that the admission rule has promised it."""
    pick: Callable[[Mapping[RequestId, int]], int] | None = None
    """Its token in a step's mapping, as one C call; set when first admitted."""

    def move(self, phase: Phase) -> None:
        """Go on to another phase.

        Raises:
            InvariantError: the table above does not allow it.
        """
        if phase not in NEXT[self.phase]:
            msg = f"Request {self.id} went from {self.phase.name} to {phase.name}."
            raise InvariantError(msg, snapshot=self.snapshot())
        self.phase = phase

    def prepare_pick(self) -> None:
        """Make ``pick``; waiting requests do without, to stay small."""
        if self.pick is None:
            self.pick = itemgetter(self.id)

    @property
    def produced(self) -> int:
        """Output tokens delivered so far."""
        if self.phase is Phase.DECODING:
            return len(self.outputs) + self.tenant.clock.tick - self.collected
        return len(self.outputs)

    @property
    def known(self) -> int:
        """Prompt and output tokens so far."""
        return self.prompt_length + self.produced

    @property
    def unpaid(self) -> int:
        """Prompt positions that admitting it will charge, without a cache."""
        return self.prompt_length - self.paid - self.prepaid

    def found_positions(self, cached: int) -> int:
        """Of so many cached positions, those of the prompt that are new to it."""
        return max(0, min(cached, self.prompt_length) - self.paid)

    def unpaid_after(self, cached: int) -> int:
        """Prompt positions that admitting it with so many cached ones will charge."""
        # What is prepaid reaches to the end of the prompt.
        return 0 if self.prepaid else self.unpaid - self.found_positions(cached)

    @property
    def worst(self) -> int:
        """Most positions that can ever need KV: the last token is never fed back."""
        return self.prompt_length + self.request.max_tokens - 1

    def tokens(self) -> TokenIds:
        """All known token ids; only exact while it does not decode. O(length)."""
        if not self.outputs:
            return self.request.prompt
        return TokenIds.from_raw(self.request.prompt.raw + self.outputs.tobytes())

    def snapshot(self) -> RequestSnapshot:
        """A frozen copy."""
        return RequestSnapshot(
            request_id=self.id,
            tenant=self.tenant.name,
            phase=self.phase,
            prompt_tokens=self.prompt_length,
            output_tokens=self.produced,
            max_tokens=self.request.max_tokens,
            blocks=tuple(self.blocks),
        )
