"""What the callers of a kernel were told; it refuses what nobody should hear."""

from collections.abc import Mapping

from fairq.events import Events, FinishReason
from fairq.request import RequestId
from fairq.testing._witness import expect


class Receipts:
    """Tokens, ends and preemptions, as they were reported.

    Attributes:
        received: By request, its tokens while it lived.
        finished: By request, why it is over.
        preempted: Who lost its blocks, in order, once for each time.
    """

    def __init__(self) -> None:
        self.received: dict[RequestId, list[int]] = {}
        self.finished: dict[RequestId, FinishReason] = {}
        self.preempted: list[RequestId] = []

    def note(self, events: Events) -> None:
        """Take what one call reported.

        Raises:
            AssertionError: somebody finished twice, or with another number of tokens
                than it got.
        """
        self._tokens(events.tokens)
        for end in events.finished:
            name = f"request {end.request_id}"
            expect(end.request_id not in self.finished, f"{name} finished twice.")
            got = len(self.received.get(end.request_id, ()))
            expect(
                got == end.output_tokens,
                f"Expected {name} to finish with the {got} tokens that were "
                f"delivered; got {end.output_tokens}.",
            )
            self.finished[end.request_id] = end.reason
        self.preempted += events.preempted

    def _tokens(self, tokens: Mapping[RequestId, int]) -> None:
        for request_id, new in tokens.items():
            # Who was cancelled while its step ran may still be named.
            if request_id not in self.finished:
                self.received.setdefault(request_id, []).append(new)
