"""What happened in a call of the kernel, as one value."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from fairq.request import RequestId

__all__ = ["NO_EVENTS", "Events", "FinishReason", "Finished", "Share"]


class FinishReason(enum.Enum):
    """Why a request is over."""

    LENGTH = "length"
    """It produced ``max_tokens`` tokens."""

    STOP = "stop"
    """The backend said that its last token ended the sequence."""

    CANCELLED = "cancelled"
    """Somebody called ``cancel``."""

    FAILED = "failed"
    """It was in more failed steps, one after another, than the policy allows."""


@attrs.frozen
class Finished:
    """One request is over; its id will not be heard of again."""

    request_id: RequestId
    reason: FinishReason
    output_tokens: int
    """Tokens it has delivered, the ones of this call included."""


NO_TOKENS: Final[Mapping[RequestId, int]] = MappingProxyType({})


@attrs.frozen
class Share:
    """One request takes over a part of what another was charged for their prefix.

    The prefix was computed by the payer, for both; each of the requests that waited for
    it bears an equal part. What is taken over here the payer gets back, so the sum over
    all tenants stays what was computed.
    """

    payer: RequestId
    """Who computed it, and has this much less on its account."""
    member: RequestId
    """Whose account it is on from now on. Of another tenant."""
    tokens: int
    """Prompt positions, at least 1, each at the price of its bearer's weight."""


@attrs.frozen
class Events:
    """Everything that one call changed for the callers; empty when nothing did."""

    tokens: Mapping[RequestId, int] = NO_TOKENS
    """The token that each sequence of the step produced: the backend's own mapping. A
    request that was cancelled while the step ran may still be in it; ignore that."""

    finished: tuple[Finished, ...] = ()
    """Requests that are over, each exactly once in its life."""

    preempted: tuple[RequestId, ...] = ()
    """Requests that lost their blocks and wait again. No token is lost or repeated."""

    shares: tuple[Share, ...] = ()
    """Charges for shared prefixes that went from one tenant to another."""

    def __bool__(self) -> bool:
        return bool(self.tokens or self.finished or self.preempted or self.shares)


NO_EVENTS: Final = Events()
