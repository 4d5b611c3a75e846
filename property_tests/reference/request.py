"""One request: what it asked for and how far it has got."""

import attrs


@attrs.define(eq=False)
class RequestModel:
    """It waits until it has a slot, and decodes once all it knows is computed."""

    id: int
    tenant: str
    prompt: list[int]
    max_tokens: int
    submitted_ns: int
    outputs: list[int] = attrs.field(factory=list)
    slot: int | None = None
    """None while it waits."""
    blocks: list[int] = attrs.field(factory=list)
    decodes: bool = False
    computed: int = 0
    """Positions that have KV now."""
    reached: int = 0
    """Most positions that ever had KV."""
    charged: bool = False
    """Its prompt was charged, whole, when it was first admitted."""
    failures: int = 0
    """Failed steps in a row that it was in."""
    arriving: bool = False
    """It came while a plan is outstanding; it begins to wait with the answer."""
    cancelled: bool = False
    """Told so already, and gone when the outstanding plan is answered."""

    @property
    def known(self) -> list[int]:
        """All its tokens so far."""
        return self.prompt + self.outputs

    @property
    def worst(self) -> int:
        """Most positions it can ever need: the last token is never fed back."""
        return len(self.prompt) + self.max_tokens - 1

    @property
    def owed(self) -> int:
        """Output tokens it may still produce."""
        return self.max_tokens - len(self.outputs)

    @property
    def settled(self) -> int:
        """Prompt positions that were computed, be it before a preemption."""
        return min(self.reached, len(self.prompt))

    @property
    def prepaid(self) -> int:
        """Prompt positions that were charged and not computed yet."""
        return len(self.prompt) - self.settled if self.charged else 0

    @property
    def unpaid(self) -> int:
        """Prompt positions that admitting it will charge."""
        return 0 if self.charged else len(self.prompt)

    @property
    def phase(self) -> str:
        """As a snapshot calls it."""
        if self.slot is None:
            return "waiting"
        return "decoding" if self.decodes else "prefilling"

    def compute(self, end: int) -> None:
        """All positions before ``end`` have KV now."""
        self.computed = end
        self.reached = max(self.reached, end)

    def leave(self) -> None:
        """Out of the batch; its KV is lost."""
        self.slot, self.blocks, self.computed, self.decodes = None, [], 0, False
