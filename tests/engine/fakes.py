"""Backends that do as they are told, and an engine that is checked when it ends."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import anyio

from fairq.backend import Backend, Capacity
from fairq.engine import Engine, TokenStream, open_engine
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.testing._witness import sampled

CAPACITY = Capacity(blocks=64, block_size=4, max_sequences=4, tokens_per_step=64)

Fault = Callable[[StepResult], object]
"""Makes a right answer wrong, or raises."""


class Echo:
    """The n-th token of every request is n; faults happen in the order given.

    Steps may be held: each then waits for one ``release``.
    """

    def __init__(
        self,
        faults: tuple[Fault | None, ...] = (),
        *,
        capacity: Capacity = CAPACITY,
        held: bool = False,
    ) -> None:
        self.capacity = capacity
        self.faults = list(faults)
        self.produced: dict[RequestId, int] = {}
        self.log: list[str] = []
        self.closed = 0
        self.held = held

    def close(self) -> None:
        self.closed += 1
        self.log.append("close")

    def answer(self, plan: StepPlan) -> StepResult:
        fault = self.faults.pop(0) if self.faults else None
        result = StepResult(plan.step_id, self.tokens(plan))
        if fault is not None:
            return cast("StepResult", fault(result))  # or whatever else it is
        for request_id in result.tokens:
            self.produced[request_id] = self.produced.get(request_id, 0) + 1
        return result

    def tokens(self, plan: StepPlan) -> dict[RequestId, int]:
        return {id_: self.produced.get(id_, 0) for id_ in sampled(plan)}


class AsyncEcho(Echo):
    """With a step that suspends only where it is held."""

    def __init__(
        self,
        faults: tuple[Fault | None, ...] = (),
        *,
        capacity: Capacity = CAPACITY,
        held: bool = False,
    ) -> None:
        super().__init__(faults, capacity=capacity, held=held)
        self.begun = anyio.Semaphore(0)
        self.permits = anyio.Semaphore(0)

    async def step(self, plan: StepPlan) -> StepResult:
        self.log.append(f"begin {plan.step_id}")
        self.begun.release()
        if self.held:
            await self.permits.acquire()
        self.log.append(f"end {plan.step_id}")
        return self.answer(plan)

    async def wait_begun(self) -> None:
        await self.begun.acquire()

    def release(self, steps: int = 1) -> None:
        for _ in range(steps):
            self.permits.release()


class SyncEcho(Echo):
    """With a step that blocks its thread where it is held."""

    def __init__(
        self,
        faults: tuple[Fault | None, ...] = (),
        *,
        capacity: Capacity = CAPACITY,
        held: bool = False,
    ) -> None:
        super().__init__(faults, capacity=capacity, held=held)
        self.begun = threading.Semaphore(0)
        self.permits = threading.Semaphore(0)
        self.threads: set[int] = set()

    def step(self, plan: StepPlan) -> StepResult:
        self.threads.add(threading.get_ident())
        self.log.append(f"begin {plan.step_id}")
        self.begun.release()
        if self.held:
            assert self.permits.acquire(timeout=5)
        self.log.append(f"end {plan.step_id}")
        return self.answer(plan)

    def close(self) -> None:
        super().close()
        self.threads.add(threading.get_ident())

    async def wait_begun(self) -> None:
        assert await anyio.to_thread.run_sync(lambda: self.begun.acquire(timeout=5))

    def release(self, steps: int = 1) -> None:
        self.permits.release(steps)


Make = type[AsyncEcho] | type[SyncEcho]


def ask(tokens: int = 3, *, tenant: str = "a", prompt: int = 3) -> Request:
    return Request(tenant=tenant, prompt=range(prompt), max_tokens=tokens)


@asynccontextmanager
async def checked_engine(
    backend: Backend | str, policy: Policy | None = None, *, buffer: int = 1024
) -> AsyncIterator[Engine]:
    """An engine for five seconds at most, whose kernel is sound at the end."""
    with anyio.fail_after(5):
        async with open_engine(backend, policy, buffer=buffer) as engine:
            yield engine
        engine._kernel.check()


async def emptied(engine: Engine) -> None:
    """Wait until nothing is live, and check that nothing has leaked."""
    while engine.statistics().kernel.outstanding is not None:
        await anyio.lowlevel.checkpoint()
    engine._kernel.check()
    kernel = engine.statistics().kernel
    assert (0, 0, ()) == (kernel.waiting, kernel.running, kernel.requests)
    assert kernel.blocks == kernel.free_blocks
    assert engine.statistics().streams == 0


async def read(stream: TokenStream) -> tuple[list[int], Exception | None]:
    """Read to the end: the tokens, and the error it ended with."""
    tokens = []
    try:
        async for token in stream:
            tokens.append(token)  # noqa: PERF401  # they count although it may raise
    except Exception as error:  # noqa: BLE001  # which one is for the caller to say
        return tokens, error
    return tokens, None
