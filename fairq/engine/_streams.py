"""The open streams of an engine, and how a step's events reach them."""

import attrs

from fairq.engine._stream import TokenStream
from fairq.engine._wakeup import best_wakeup
from fairq.errors import BackendError, EngineClosed
from fairq.events import Events, Finished, FinishReason
from fairq.kernel import Kernel
from fairq.plan import StepId
from fairq.request import Request, RequestId

__all__ = ["Answer", "Streams"]


@attrs.frozen
class Answer:
    """What came of one step."""

    step_id: StepId
    events: Events
    cause: BaseException | None = None
    """What the step failed with; None when it did not."""


class Streams:
    """Hands tokens and ends to readers, and cancels for readers that are gone.

    Args:
        kernel: Where requests are submitted and cancelled.
        backend: Name of the backend, for errors.
        limit: Tokens that may wait for a reader.
    """

    def __init__(self, kernel: Kernel, backend: str, limit: int) -> None:
        self._kernel = kernel
        self._backend = backend
        self._limit = limit
        self._make_wakeup = best_wakeup()
        self._open: dict[RequestId, TokenStream] = {}
        self.delivered = 0

    def __len__(self) -> int:
        return len(self._open)

    @property
    def buffered(self) -> int:
        """Tokens that wait for their readers. O(streams)."""
        return sum(map(len, self._open.values()))

    def open(self, request: Request, now_ns: int) -> TokenStream:
        """Submit a request and listen to it."""
        request_id = self._kernel.submit(request, now_ns)
        stream = TokenStream(request_id, self._limit, self._make_wakeup())
        self._open[request_id] = stream
        return stream

    def leave(self, stream: TokenStream) -> None:
        """The reader is gone: cancel the request, unless it is over."""
        if self._open.pop(stream.request_id, None) is not None:
            self._kernel.cancel(stream.request_id)
        stream._abandon()

    async def deliver(self, answer: Answer) -> None:
        """Hand out the events of one step. A task of its own; never suspends."""
        # Requests that were cancelled meanwhile have tokens here but no stream.
        streams, delivered = self._open, 0
        for request_id, token in answer.events.tokens.items():
            stream = streams.get(request_id)
            if stream is None:
                continue
            if stream._put(token):
                delivered += 1
            else:
                self._give_up(stream)
        self.delivered += delivered
        for finished in answer.events.finished:
            self._finish(finished, answer)

    def close(self, cause: BaseException | None) -> None:
        """End every stream that is still open."""
        while self._open:
            request_id, stream = self._open.popitem()
            msg = (
                f"The engine was closed before request {request_id} had finished. "
                "Read streams to their end inside open_engine's block."
            )
            error = EngineClosed(msg)
            error.__cause__ = cause
            stream._end(None, error)

    def _give_up(self, stream: TokenStream) -> None:
        # In this order: if the kernel is broken, ``close`` still finds the stream.
        self._kernel.cancel(stream.request_id)
        del self._open[stream.request_id]
        stream._overflow()

    def _finish(self, finished: Finished, answer: Answer) -> None:
        stream = self._open.pop(finished.request_id, None)
        if stream is None:
            return
        failed = finished.reason is FinishReason.FAILED
        error = self._failure(finished, answer) if failed else None
        stream._end(finished.reason, error)

    def _failure(self, finished: Finished, answer: Answer) -> BackendError:
        # One error per stream: a shared one would collect everybody's traceback.
        msg = (
            f"Request {finished.request_id} was given up: step {answer.step_id} of "
            f"backend {self._backend} failed with {answer.cause!r}, and so did every "
            "step before it that Policy.max_failures allows. Submit it again when the "
            "cause is mended."
        )
        error = BackendError(msg, backend=self._backend, step_id=answer.step_id)
        error.__cause__ = answer.cause
        return error
