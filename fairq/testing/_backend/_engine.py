"""A backend in a real engine: served to the end, and left while a step runs."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import cycle, islice
from typing import Final, NoReturn, cast

import anyio
import attrs
from anyio import from_thread

from fairq.backend import AsyncBackend, Backend, SyncBackend
from fairq.engine import Engine, open_engine
from fairq.errors import EngineClosed
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench
from fairq.testing._backend._host import (
    Overdue,
    ThreadHost,
    is_coroutine_step,
    wait,
)
from fairq.testing._backend._show import alone_on
from fairq.testing._obligations import raised

READERS: Final = 4
HELD: Final = 1
"""The step that is held until the engine is left: the second, or else none, so that
there is a batch then."""


class Watched:
    """A backend as the engine sees it: what begins and ends is noted.

    Attributes:
        log: ``begin``, ``end`` and ``close``, in order.
    """

    def __init__(self, backend: Backend, log: list[str], *, held: bool) -> None:
        self.backend = backend
        self.capacity = backend.capacity
        self.log = log
        self.begun = anyio.Event()
        self._held = HELD if held else None
        self._steps = 0

    def close(self) -> None:
        self.log.append("close")
        self.backend.close()

    def _begin(self) -> bool:
        """Note a step; whether it is to be held."""
        self.log.append("begin")
        self._steps += 1
        return self._steps - 1 == self._held


class WatchedThread(Watched):
    """With a plain step."""

    def __init__(self, backend: Backend, log: list[str], *, held: bool) -> None:
        super().__init__(backend, log, held=held)
        self._released = threading.Event()

    def step(self, plan: StepPlan) -> StepResult:
        held = self._begin()
        try:
            if held:
                from_thread.run_sync(self.begun.set)
                self._released.wait()
            return cast("SyncBackend", self.backend).step(plan)
        finally:
            self.log.append("end")

    def release(self) -> None:
        self._released.set()


class WatchedLoop(Watched):
    """With a coroutine step."""

    def __init__(self, backend: Backend, log: list[str], *, held: bool) -> None:
        super().__init__(backend, log, held=held)
        self._released = anyio.Event()

    async def step(self, plan: StepPlan) -> StepResult:
        held = self._begin()
        try:
            if held:
                self.begun.set()
                await self._released.wait()
            return await cast("AsyncBackend", self.backend).step(plan)
        finally:
            self.log.append("end")

    def release(self) -> None:
        self._released.set()


@attrs.define(eq=False)
class Reading:
    """One stream, as its reader saw it. Made where an event loop runs."""

    request: Request
    tokens: list[int] = attrs.field(factory=list)
    error: Exception | None = None
    ended: anyio.Event = attrs.field(factory=anyio.Event)

    async def run(self, engine: Engine, opened: anyio.Event) -> None:
        """Read to the end, whatever that is."""
        try:
            async with engine.stream(self.request) as stream:
                opened.set()
                async for token in stream:
                    self.tokens.append(token)
        except Exception as error:  # noqa: BLE001  # looked at in ``check``
            self.error = error
        opened.set()  # or it could not be: nobody is to wait for it
        self.ended.set()


@attrs.frozen(eq=False)
class Session:
    """One engine on one fresh backend."""

    bench: Bench
    loop: str
    """Name of the event loop, as anyio knows it."""
    leave: bool
    """Whether to leave while a step runs, and not when all is read."""

    def run(self) -> None:
        """Open it, read, leave, and look at what came of it.

        Raises:
            ObligationBroken: it did not go as it must.
        """
        host, log = ThreadHost(), list[str]()
        backend = self.bench.factory()
        try:
            readings = self._wait(host.start(partial(self._anyio, backend, log)), log)
        except Overdue:
            expected = f"an engine on {self.loop} goes on, or is left"
            owed.ENDS.broken(
                self.bench.who, expected, f"nothing in {self.bench.limit_s:g} s"
            )
        except Exception as error:  # noqa: BLE001  # whatever a backend raises
            expected = f"an engine on {self.loop} is opened and left"
            self._refuse(expected, f"it raised {raised(error)}", error)
        finally:
            host.stop()
        self._check_log(log)
        for reading in readings:
            self._check(reading)

    def _wait(self, outcome: "Future[list[Reading]]", log: list[str]) -> list[Reading]:
        """Wait as long as steps begin or end."""
        seen = -1
        while len(log) > seen:
            seen = len(log)
            with suppress(Overdue):
                return wait(outcome, self.bench.limit_s)
        raise Overdue

    def _anyio(self, backend: Backend, log: list[str]) -> list[Reading]:
        readings: list[Reading]
        readings = anyio.run(self._main, backend, log, backend=self.loop)
        return readings

    async def _main(self, backend: Backend, log: list[str]) -> list[Reading]:
        kind = WatchedLoop if is_coroutine_step(backend) else WatchedThread
        watched = kind(backend, log, held=self.leave)
        asked = islice(cycle(self.bench.long()), READERS)
        readings = [Reading(request) for request in asked]
        # Too few slots for all, so that streams are left that have not begun.
        policy = Policy(max_sequences=min(2, backend.capacity.max_sequences))
        async with (
            anyio.create_task_group() as outside,
            open_engine(cast("Backend", watched), policy) as engine,
        ):
            for reading in readings:
                opened = anyio.Event()
                outside.start_soon(reading.run, engine, opened)
                await opened.wait()
            if self.leave:
                outside.start_soon(_stop_waiting, watched, readings)
                await watched.begun.wait()
                outside.start_soon(_release_later, watched)
            else:
                await _all_ended(readings)
        return readings

    # --- looking --------------------------------------------------------------------

    def _check_log(self, log: list[str]) -> None:
        steps, closes = log[:-1], log.count("close")
        pairs = zip(steps[::2], steps[1::2], strict=False)
        orderly = len(steps) % 2 == 0 and all(p == ("begin", "end") for p in pairs)
        if closes != 1 or log[-1:] != ["close"] or not orderly:
            expected = f"on {self.loop} steps one at a time, then close once"
            self._refuse(expected, " ".join(log[-8:]))

    def _check(self, reading: Reading) -> None:
        usual = reading.error is None or (
            self.leave and isinstance(reading.error, EngineClosed)
        )
        if not usual:
            how = "or EngineClosed" if self.leave else "and no error"
            assert reading.error is not None  # noqa: S101  # or it were usual
            came = f"{raised(reading.error)} after {len(reading.tokens)} tokens"
            expected = f"on {self.loop} the tokens of a stream, {how}"
            self._refuse(expected, came, reading.error)
        if self.bench.deterministic:
            self._check_tokens(reading)

    def _check_tokens(self, reading: Reading) -> None:
        alone = list(alone_on(self.bench, reading.request).tokens)
        whole = reading.error is None
        expected = alone if whole else alone[: len(reading.tokens)]
        if expected != reading.tokens:
            asked = f"on {self.loop} the stream gives {expected}, as alone"
            self._refuse(asked, str(reading.tokens))

    def _refuse(
        self, expected: str, actual: str, cause: Exception | None = None
    ) -> NoReturn:
        try:
            owed.SERVED.broken(self.bench.who, expected, actual)
        except AssertionError as broken:
            raise broken from cause


async def _release_later(watched: WatchedLoop | WatchedThread) -> None:
    """Let the step go on once the engine waits for it, and all readers too."""
    await anyio.wait_all_tasks_blocked()
    watched.release()


async def _all_ended(readings: list[Reading]) -> None:
    for reading in readings:
        await reading.ended.wait()


async def _stop_waiting(watched: Watched, readings: list[Reading]) -> None:
    """Do not wait for a second step when all was said in the first."""
    await _all_ended(readings)
    watched.begun.set()


def served(bench: Bench, loops: tuple[str, ...]) -> None:
    """An engine on each event loop that is installed."""
    if not loops:
        bench.note("served: no engine was run; loops is empty")
    for loop in loops:
        if loop not in anyio.get_available_backends():
            bench.note(f"served: no engine was run on {loop}; it is not installed")
            continue
        for leave in (False, True):
            Session(bench, loop, leave).run()
