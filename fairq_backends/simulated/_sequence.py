"""One sequence of the standing batch.

While it decodes nothing here changes from step to step: its context is its ``origin``
plus the number of steps the backend has answered.
"""

import attrs

from fairq import BlockId, Enter, RequestId, TokenIds
from fairq_backends.simulated._tokens import STRIDE, VOCABULARY, token_at, token_key


@attrs.define(eq=False, kw_only=True)
class Sequence:
    """A sequence between its ``Enter`` and its ``leave``."""

    request_id: RequestId
    slot: int
    prompt_length: int
    known: int
    """Tokens known when it entered: the prompt, and earlier outputs."""
    key: int
    """What its tokens depend on, with the position."""
    limit: int | None
    """Output tokens after which it ends; None for never."""
    blocks: list[BlockId]
    computed: int
    """Positions with KV; not kept up while it decodes."""
    tokens: TokenIds
    """Those that were known when it entered."""
    origin: int = 0
    """Context less the tick; set when it begins to decode."""
    decodes: bool = False

    @classmethod
    def entering(cls, enter: Enter, limit: int | None) -> "Sequence":
        """The sequence that an ``Enter`` describes. O(prompt), at C speed."""
        return cls(
            request_id=enter.request_id,
            slot=enter.slot,
            prompt_length=enter.prompt_length,
            known=len(enter.tokens),
            key=token_key(enter.tokens[: enter.prompt_length]),
            limit=limit,
            blocks=list(enter.blocks),
            computed=enter.cached,
            tokens=enter.tokens,
        )

    def context(self, tick: int) -> int:
        """Positions with KV, at a tick or when it left."""
        return self.origin + tick if self.decodes else self.computed

    def text(self, count: int) -> bytes:
        """Its first tokens, packed; what it said after it entered is among them."""
        known = self.tokens[:count]
        said = range(len(known), count)
        return known.raw + TokenIds(token_at(self.key, place) for place in said).raw

    @property
    def first_token(self) -> int:
        """The token of the chunk that reaches the end."""
        return token_at(self.key, self.known)

    @property
    def first_is_last(self) -> bool:
        """Whether that token also ends the sequence."""
        return self.limit == self.known - self.prompt_length + 1

    @property
    def phase(self) -> int:
        """What STRIDE times the tick is added to, for the token of a decode."""
        return (self.key + STRIDE * (self.origin + 1)) % VOCABULARY

    @property
    def ends_at(self) -> int | None:
        """The tick whose decode yields the last token."""
        if self.limit is None:
            return None
        return self.prompt_length + self.limit - 2 - self.origin

    def full_at(self, block_size: int) -> int:
        """The tick whose decode needs one block more than there are."""
        return len(self.blocks) * block_size - self.origin
