"""Cancelling a task at a chosen suspension, on any event loop.

A task is at the mercy of others only where it suspends. So whatever can be cancelled
at each of its suspensions, one run after the other, can be cancelled anywhere.
"""

import enum
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

import anyio
import attrs


class How(enum.Enum):
    """What cancelling a task means."""

    AT_ONCE = "its scope is cancelled as it begins to wait"
    BY_ANOTHER = "another task cancels its scope when it has the turn"
    NATIVELY = "its wait ends once with a cancellation, as task.cancel() has it"
    """On asyncio only: what a server that knows nothing of anyio does."""


@attrs.frozen
class Cut:
    """Who is cancelled, at which of its suspensions, and how."""

    who: int
    """Index of the reader, or ``HOLDER``."""
    at: int
    how: How = How.AT_ONCE


HOLDER = -1
"""The task inside the block of ``open_engine``."""

Task = Callable[[], Coroutine[Any, Any, None]]


class Suspensions:
    """Awaits a coroutine, counts its suspensions, and cancels it at one of them.

    ``cancel`` is given what the coroutine waits for; what it returns, if anything, is
    raised when the wait is over.
    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        at: int,
        cancel: Callable[[Any], BaseException | None],
    ) -> None:
        self._coroutine = coroutine
        self._at = at
        self._cancel = cancel
        self.count = 0

    def __await__(self) -> Generator[Any, Any, None]:
        resume: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                trap = resume(value)
            except StopIteration:
                return
            late = self._cancel(trap) if self.count == self._at else None
            self.count += 1
            try:
                value, resume = (yield trap), self._coroutine.send
            except BaseException as error:  # noqa: BLE001  # handed on as it is
                value, resume = error, self._coroutine.throw
            else:
                if late is not None:
                    value, resume = late, self._coroutine.throw


async def run_cut(task: Task, cut: Cut) -> int:
    """Run a task and cancel it there; how often it suspended.

    More often than ``cut.at``, or it had ended before it could be cancelled.
    """
    match cut.how:
        case How.AT_ONCE:
            return await _at_once(task, cut.at)
        case How.BY_ANOTHER:
            return await _by_another(task, cut.at)
        case How.NATIVELY:
            return await _natively(task, cut.at)


async def _at_once(task: Task, at: int) -> int:
    with anyio.CancelScope() as scope:
        suspensions = Suspensions(task(), at, lambda _: scope.cancel())
        await suspensions
    return suspensions.count


async def _by_another(task: Task, at: int) -> int:
    reached, scope = anyio.Event(), anyio.CancelScope()

    async def cancel() -> None:
        await reached.wait()
        scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cancel)
        suspensions = Suspensions(task(), at, lambda _: reached.set())
        with scope:
            await suspensions
        tasks.cancel_scope.cancel()
    return suspensions.count


async def _natively(task: Task, at: int) -> int:
    suspensions = Suspensions(task(), at, _end_wait)
    # Nobody else cancels this task, and whoever did is content.
    with suppress(anyio.get_cancelled_exc_class()):
        await suspensions
    return suspensions.count


def _end_wait(trap: Any) -> BaseException | None:  # noqa: ANN401  # what loops are given differs
    """What asyncio does: a future is cancelled, a mere yield is left by an error."""
    if trap is None:
        return anyio.get_cancelled_exc_class()()
    trap.cancel()
    return None
