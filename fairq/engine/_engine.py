"""What a server holds: the engine, and how it is opened."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from anyio import create_task_group, get_cancelled_exc_class

from fairq._validators import is_integer
from fairq.backend import Backend
from fairq.engine._driver import Driver
from fairq.engine._statistics import Statistics
from fairq.engine._stream import TokenStream
from fairq.engine._streams import Streams
from fairq.errors import UsageError
from fairq.kernel import Kernel
from fairq.plugins import load_backend
from fairq.policy import Policy
from fairq.request import Request
from fairq.tokens import TokenIds

__all__ = ["Engine", "open_engine"]

LEAST_BUFFER: Final = 2
"""One token is being taken while the next arrives."""


class Engine:
    """Runs requests. Made by ``open_engine`` and alive inside its block."""

    def __init__(
        self, backend: Backend, name: str, policy: Policy | None, limit: int
    ) -> None:
        self._name = name
        self._kernel = Kernel(backend.capacity, policy)
        self._streams = Streams(self._kernel, name, limit)
        self._driver = Driver(self._kernel, backend, self._streams)

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[TokenStream]:
        """Submit a request and read its tokens; leaving cancels what is left of it.

        Entering and leaving do not suspend. Put a cancel scope around it for a
        deadline: ``with anyio.move_on_after(2): async with engine.stream(...)``.

        Raises:
            RequestRejected: a queue is full, or the request can never fit.
            UsageError: the backend has a ``check``, and does not understand what the
                request asks for. Whatever else that raises comes out as it is.
            EngineClosed: the engine is closed; after a failure of the engine itself
                that failure is the cause.
        """
        stream = self._driver.submit(request)
        try:
            yield stream
        finally:
            self._streams.leave(stream)

    async def complete(self, request: Request) -> TokenIds:
        """Run a request to its end and return its output tokens.

        Being cancelled cancels the request. Use ``stream`` to learn how it ended.

        Raises:
            RequestRejected, UsageError, BackendError, EngineClosed: as with ``stream``.
        """
        async with self.stream(request) as tokens:
            return TokenIds([token async for token in tokens])

    def statistics(self) -> Statistics:
        """How the engine stands. Costs O(live requests), mostly in the kernel."""
        return Statistics(
            backend=self._name,
            steps=self._driver.steps,
            failed_steps=self._driver.failed_steps,
            tokens=self._streams.delivered,
            streams=len(self._streams),
            buffered=self._streams.buffered,
            kernel=self._kernel.snapshot(),
        )


@asynccontextmanager
async def open_engine(
    backend: Backend | str, policy: Policy | None = None, *, buffer: int = 1024
) -> AsyncIterator[Engine]:
    """Open an engine on a backend; leaving the block closes both.

    Leaving waits for the step that is running, then closes the backend, then ends every
    stream that is still open with ``EngineClosed``. So does being cancelled. An error
    of the block comes out as it is, not in a group.

    Args:
        backend: A backend, or the name of an installed one. Either way the engine owns
            it from here on, and calls its ``close`` exactly once.
        policy: Weights, order and limits; None for ``Policy()``.
        buffer: Tokens that may wait for one reader, >= 2 (one is being taken while the
            next arrives). When it is full the request is cancelled, and its reader
            gets the buffered tokens and then ``ReaderTooSlow``. Allocated as needed.

    Raises:
        UsageError: an argument is not what it must be, or no backend has that name.
        BackendError: the backend of that name cannot be loaded.
        InvariantError: fairq found a bug in itself; raised on leaving, as is anything
            else that ended the engine early. Streams ended with ``EngineClosed``.
    """
    check_buffer(buffer)
    name = backend if isinstance(backend, str) else type(backend).__name__
    owned = load_backend(backend) if isinstance(backend, str) else backend
    check_backend(owned)
    engine = make_engine(owned, name, policy, buffer)
    driver = engine._driver
    failure: BaseException | None = None
    try:
        async with create_task_group() as tasks:
            tasks.start_soon(driver.run)
            try:
                yield engine
            except get_cancelled_exc_class():
                raise
            except BaseException as error:  # noqa: BLE001  # a task group would wrap it
                failure = error
            finally:
                driver.stop()
    finally:
        # Also when the scope around us was cancelled: an error is not to be lost.
        reraise(failure, driver.crash)


def make_engine(
    backend: Backend, name: str, policy: Policy | None, limit: int
) -> Engine:
    """Build an engine; a backend that does not suit is closed, not leaked."""
    try:
        return Engine(backend, name, policy, limit)
    except BaseException:
        backend.close()
        raise


def check_backend(backend: object) -> None:
    """Refuse what has no capacity, step and close."""
    if isinstance(backend, type) or not isinstance(backend, Backend):
        msg = (
            "backend must be a backend (capacity, step, close) or the name of one; "
            f"got {backend!r}."
        )
        raise UsageError(msg)


def check_buffer(buffer: object) -> None:
    """Refuse a size that would fail readers that keep up."""
    if not is_integer(buffer) or buffer < LEAST_BUFFER:  # type: ignore[operator]  # is_integer proves it, but cannot tell mypy for object
        msg = f"buffer must be an integer >= {LEAST_BUFFER} (tokens); got {buffer!r}."
        raise UsageError(msg)


def reraise(failure: BaseException | None, crash: BaseException | None) -> None:
    """Raise what is there; a crash of the engine has the block's failure as context."""
    try:
        if failure is not None:
            raise failure
    finally:
        if crash is not None:
            raise crash
