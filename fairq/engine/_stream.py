"""The tokens of one request, as its reader sees them."""

from collections import deque
from collections.abc import AsyncIterator
from typing import NoReturn

from fairq.engine._wakeup import Wakeup
from fairq.errors import FairqError, ReaderTooSlow, UsageError
from fairq.events import FinishReason
from fairq.request import RequestId

__all__ = ["TokenStream"]


class TokenStream(AsyncIterator[int]):
    """The output tokens of one request, in order; for one reader.

    ``async for`` ends after the last token. Waiting for a token is where deadlines
    take effect; a token that is in the buffer already is returned without suspending.
    A reader can do that for one bufferful at most, so it cannot starve other tasks.

    Made by ``Engine.stream``.

    Attributes:
        request_id: The kernel's name for the request.
        finish_reason: None while the request lives and when the engine was closed
            under it. Known as soon as the request is over, which may be before the
            last tokens are read.
    """

    __slots__ = (
        "_buffer",
        "_ended",
        "_error",
        "_limit",
        "_waiting",
        "_wakeup",
        "finish_reason",
        "request_id",
    )

    def __init__(self, request_id: RequestId, limit: int, wakeup: Wakeup) -> None:
        self.request_id: RequestId = request_id
        self.finish_reason: FinishReason | None = None
        self._limit = limit
        self._buffer: deque[int] = deque()
        self._ended = False
        self._error: FairqError | None = None
        self._waiting = False
        self._wakeup = wakeup

    def __len__(self) -> int:
        """Tokens in the buffer."""
        return len(self._buffer)

    async def __anext__(self) -> int:
        """The next token.

        Raises:
            BackendError: the request was in too many failed steps in a row.
            ReaderTooSlow: the buffer was full when another token came.
            EngineClosed: the engine was closed before the request had finished.
            UsageError: another task is waiting for the next token already.

        All but the last are raised after the tokens in the buffer, and again if asked
        again.
        """
        while not self._buffer:
            if self._ended or self._waiting:
                self._refuse()
            self._waiting = True
            try:
                await self._wakeup.wait()
            finally:
                # A wake-up that crossed a cancelled wait ends the next one early.
                self._waiting = False
        return self._buffer.popleft()

    def _refuse(self) -> NoReturn:
        if self._error is not None:
            raise self._error
        if self._ended:
            raise StopAsyncIteration
        msg = (
            "A stream has one reader at a time; another task is waiting for the next "
            f"token already (request_id={self.request_id}). Read in one task and pass "
            "the tokens on."
        )
        raise UsageError(msg)

    def _wake(self) -> None:
        if self._waiting:
            self._waiting = False
            self._wakeup.wake()

    def _put(self, token: int) -> bool:
        """Add a token and wake the reader; False, and no change, when full."""
        if len(self._buffer) >= self._limit:
            return False
        self._buffer.append(token)
        if self._waiting:  # as in _wake; a call here is 3 % of a token
            self._waiting = False
            self._wakeup.wake()
        return True

    def _end(self, reason: FinishReason | None, error: FairqError | None) -> None:
        """Say that no token follows. Called once."""
        self.finish_reason = reason
        self._error = error
        self._ended = True
        self._wake()

    def _overflow(self) -> None:
        msg = (
            f"The reader of request {self.request_id} left {self._limit} tokens "
            "unread when another came, so the request was cancelled. Read faster, "
            "or give open_engine a larger buffer."
        )
        error = ReaderTooSlow(msg, buffered=self._limit)
        self._end(FinishReason.CANCELLED, error)

    def _abandon(self) -> None:
        """The reader has left: nothing is delivered any more."""
        self._buffer.clear()
        self._error = None
        if not self._ended:
            self._end(FinishReason.CANCELLED, None)
