"""One sequence of the standing batch, as the host knows it."""

import attrs
import torch
from torch import Tensor

from fairq import BlockId, Enter, RequestId
from fairq_backends.sampling import SamplingParams

__all__ = ["Sequence"]


@attrs.define(eq=False, kw_only=True)
class Sequence:
    """A sequence between its ``Enter`` and its ``leave``.

    While it decodes nothing here changes: its context is ``origin`` plus the number of
    steps that were answered.
    """

    request_id: RequestId
    slot: int
    blocks: list[BlockId]
    tokens: Tensor
    """(known,) int32: the prompt, and outputs from before a preemption."""
    prompt_length: int
    params: SamplingParams
    computed: int
    """Positions with KV; exact until it decodes."""
    origin: int = 0

    @classmethod
    def entering(cls, enter: Enter, params: SamplingParams) -> "Sequence":
        """The sequence that an ``Enter`` describes. O(tokens), at C speed."""
        return cls(
            request_id=enter.request_id,
            slot=enter.slot,
            blocks=list(enter.blocks),
            tokens=torch.frombuffer(bytearray(enter.tokens.raw), dtype=torch.int32),
            prompt_length=enter.prompt_length,
            params=params,
            computed=enter.cached,
        )

    @property
    def known(self) -> int:
        """Tokens that were known when it entered."""
        return len(self.tokens)
