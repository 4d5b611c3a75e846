"""How a step is run: awaited where it is a coroutine, in a thread where it is not.

Both have dispatched the step when they first suspend, and both close the backend at
the end, exactly once, when no step runs.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import iscoroutinefunction
from queue import SimpleQueue
from typing import cast

from anyio import CapacityLimiter, Event, create_task_group, from_thread, to_thread
from anyio.lowlevel import checkpoint

from fairq.backend import AsyncBackend, Backend, SyncBackend
from fairq.plan import StepPlan, StepResult

__all__ = ["Step", "run_steps"]

Step = Callable[[StepPlan], Awaitable[StepResult]]
"""Runs a step; what it gives back is whatever the backend did, as yet unchecked."""


def run_steps(backend: Backend) -> AbstractAsyncContextManager[Step]:
    """Give out a function that runs one step; close the backend on leaving."""
    step = backend.step
    if iscoroutinefunction(step) or iscoroutinefunction(type(step).__call__):
        return _awaited(cast("AsyncBackend", backend))
    return _threaded(cast("SyncBackend", backend))


@asynccontextmanager
async def _awaited(backend: AsyncBackend) -> AsyncIterator[Step]:
    async def step(plan: StepPlan) -> StepResult:
        try:
            return await backend.step(plan)
        finally:
            # A step that never suspends must not keep the readers from running, nor
            # let two steps be handed out at once: trio would not keep their order.
            await checkpoint()

    try:
        yield step
    finally:
        backend.close()


@asynccontextmanager
async def _threaded(backend: SyncBackend) -> AsyncIterator[Step]:
    worker = _Worker(backend)
    async with create_task_group() as tasks:
        tasks.start_soon(worker.serve)
        try:
            yield worker.step
        finally:
            worker.stop()


class _Worker:
    """One thread for all steps of a backend and for closing it.

    Putting a plan into a queue dispatches the step at once; a fresh call into a thread
    pool would suspend first, and let the readers go before the step. What a backend
    keeps per thread (a device context, say) also stays where it is.
    """

    def __init__(self, backend: SyncBackend) -> None:
        self._backend = backend
        self._plans: SimpleQueue[StepPlan | None] = SimpleQueue()
        self._answered = Event()
        self._outcome: Future[StepResult] = Future()

    async def serve(self) -> None:
        """Be the thread, until stopped."""
        await to_thread.run_sync(self._work, limiter=CapacityLimiter(1))

    async def step(self, plan: StepPlan) -> StepResult:
        """Run one step, and return or raise what it did."""
        self._answered, self._outcome = Event(), Future()
        self._plans.put(plan)
        await self._answered.wait()
        return self._outcome.result()

    def stop(self) -> None:
        """Let the thread end, after the step that it runs."""
        self._plans.put(None)

    def _work(self) -> None:
        try:
            for plan in iter(self._plans.get, None):
                self._answer(plan)
        finally:
            self._backend.close()

    def _answer(self, plan: StepPlan) -> None:
        try:
            self._outcome.set_result(self._backend.step(plan))
        except BaseException as error:  # noqa: BLE001  # raised again in ``step``
            self._outcome.set_exception(error)
        from_thread.run_sync(self._answered.set)
