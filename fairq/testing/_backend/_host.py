"""Where the steps of a backend run: one thread, so that one that hangs is noticed.

A plain step runs on the bare thread, a coroutine on an event loop in it. It is always
the same thread, as in the engine, and nothing waits for it at the end: a step that
never returns cannot be ended, only left behind.
"""

import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from inspect import iscoroutinefunction
from queue import SimpleQueue
from typing import Protocol, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

T = TypeVar("T")


class Overdue(Exception):
    """What was called has not come back in time."""


class Host(Protocol):
    """Runs functions one after another, in its thread."""

    def call(self, function: Callable[[], T | Awaitable[T]], limit_s: float) -> T:
        """Run a function; on a loop, what it returns is awaited if it can be.

        Raises:
            Overdue: it did not end in time.
        """
        ...

    def stop(self) -> None:
        """Let the thread end when it has nothing to do."""
        ...


def is_coroutine_step(backend: object) -> bool:
    """Whether ``step`` is awaited; told as the engine tells it."""
    step = getattr(backend, "step", None)
    return iscoroutinefunction(step) or iscoroutinefunction(type(step).__call__)


def host_of(backend: object, loops: Sequence[str]) -> Host:
    """A host that suits a backend; a loop is the first of those that are installed."""
    if not is_coroutine_step(backend):
        return ThreadHost()
    known = [loop for loop in loops if loop in anyio.get_available_backends()]
    return LoopHost((*known, "asyncio")[0])


class ThreadHost:
    """A bare thread."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def call(self, function: Callable[[], T | Awaitable[T]], limit_s: float) -> T:
        """Run a function on the thread."""
        return wait(self.start(function), limit_s)

    def start(self, function: Callable[[], T | Awaitable[T]]) -> "Future[T]":
        """Run a function on the thread, without waiting for it."""
        outcome: Future[T] = Future()
        self._work.put(lambda: _settle(outcome, function))
        return outcome

    def stop(self) -> None:
        """Let the thread end."""
        self._work.put(None)

    def _serve(self) -> None:
        for work in iter(self._work.get, None):
            work()


class LoopHost:
    """An event loop in a thread."""

    def __init__(self, loop: str) -> None:
        self._ready: Future[BlockingPortal] = Future()
        run = partial(anyio.run, self._serve, backend=loop)
        threading.Thread(target=run, daemon=True).start()
        self._portal = self._ready.result()

    async def _serve(self) -> None:
        async with BlockingPortal() as portal:
            self._ready.set_result(portal)
            await portal.sleep_until_stopped()

    def call(self, function: Callable[[], T | Awaitable[T]], limit_s: float) -> T:
        """Run a function on the loop."""
        outcome: Future[T] = self._portal.start_task_soon(function)  # type: ignore[arg-type, call-arg]  # anyio takes either kind
        try:
            return wait(outcome, limit_s)
        except Overdue:
            outcome.cancel()
            raise

    def stop(self) -> None:
        """Let the loop end; one that is stuck in a step never learns of it.

        To ask a loop is to wait for it, and this one may be blocked: so nobody waits.
        """
        threading.Thread(target=self._stop, daemon=True).start()

    def _stop(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._portal.start_task_soon(self._portal.stop)


def _settle(outcome: "Future[T]", function: Callable[[], T | Awaitable[T]]) -> None:
    try:
        outcome.set_result(function())  # type: ignore[arg-type]  # a thread awaits nothing
    except BaseException as error:  # noqa: BLE001  # raised again where it was called
        outcome.set_exception(error)


def wait(outcome: "Future[T]", limit_s: float) -> T:
    """Wait for an outcome, and raise what it raised.

    Raises:
        Overdue: it did not come in time.
    """
    try:
        return outcome.result(limit_s)
    except TimeoutError as error:
        if outcome.done():  # just now, or it was the step that raised this
            return outcome.result()
        raise Overdue from error
