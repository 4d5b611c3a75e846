"""Scripts of readers for an engine, as data, and a backend that fails as it is told."""

import enum
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import attrs
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st

from fairq import (
    BackendError,
    Capacity,
    Engine,
    EngineClosed,
    FairqError,
    FinishReason,
    ReaderTooSlow,
    Request,
    RequestId,
    StepPlan,
    StepResult,
)
from fairq_backends.simulated import SimulatedBackend, token_at, token_key
from property_tests.programs import sampled

# --- what readers do ----------------------------------------------------------------


class Manner(enum.Enum):
    """How a reader behaves."""

    ALL = "reads to the end"
    COMPLETE = "awaits complete"
    LEAVES = "leaves after some tokens"
    RESTS = "does something else after each token"
    IMPATIENT = "gives up waiting for a token, and asks again"
    DEADLINE = "is cancelled while it reads"
    NEVER = "does not read before the others are done"


@attrs.frozen
class Reader:
    """One reader: when it comes, what it asks for, how it behaves."""

    after: int
    """Suspensions before it submits."""
    tenant: str
    prompt: tuple[int, ...]
    max_tokens: int
    stops_at: int | None
    manner: Manner
    patience: int
    """Tokens before it leaves, or suspensions before its deadline."""

    def request(self) -> Request:
        sampling = None if self.stops_at is None else {"output_tokens": self.stops_at}
        return Request(
            tenant=self.tenant,
            prompt=self.prompt,
            max_tokens=self.max_tokens,
            sampling=sampling,
        )

    def expected(self) -> list[int]:
        """All its tokens: a function of the request alone."""
        prompt = self.request().prompt
        length = min(self.max_tokens, self.stops_at or self.max_tokens)
        key = token_key(prompt)
        return [token_at(key, len(prompt) + index) for index in range(length)]


readers = st.builds(
    Reader,
    after=st.integers(0, 6),
    tenant=st.sampled_from("abc"),
    prompt=st.lists(st.integers(0, 9), min_size=1, max_size=6).map(tuple),
    max_tokens=st.integers(1, 10),
    stops_at=st.one_of(st.none(), st.integers(1, 10)),
    manner=st.sampled_from([*Manner, Manner.ALL]),
    patience=st.integers(0, 12),
)


@attrs.define
class Seen:
    """What one reader got."""

    tokens: list[int] = attrs.field(factory=list)
    error: BaseException | None = None
    request_id: RequestId | None = None
    reason: FinishReason | None = None
    left: bool = False
    """It did not read to the end."""
    cut: bool = False
    """It was cancelled from outside of the script."""
    forgotten: bool = False
    """The engine ran on, and so did its request, after the stream was left."""


async def cancel_after(scope: anyio.CancelScope, suspensions: int) -> None:
    for _ in range(suspensions):
        await checkpoint()
    scope.cancel()


class Impatient(AsyncIterator[int]):
    """A stream whose every wait is cancelled soon, and repeated."""

    def __init__(self, stream: AsyncIterator[int], patience: int) -> None:
        self._stream = stream
        self._patience = patience

    async def __anext__(self) -> int:
        outcome: list[int | FairqError | None] = []
        while not outcome:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_after, tasks.cancel_scope, self._patience)
                try:
                    outcome.append(await anext(self._stream, None))
                except FairqError as error:  # not to be wrapped by the task group
                    outcome.append(error)
                tasks.cancel_scope.cancel()
        if isinstance(outcome[0], FairqError):
            raise outcome[0]
        if outcome[0] is None:
            raise StopAsyncIteration
        return outcome[0]


class Hall:
    """The readers of one script, and what they saw."""

    def __init__(self, script: list[Reader]) -> None:
        self.script = script
        self.seen = [Seen() for _ in script]
        self.others_done = anyio.Event()
        self._busy = sum(each.manner is not Manner.NEVER for each in script)
        if not self._busy:
            self.others_done.set()

    async def read(self, engine: Engine, index: int) -> None:
        """Be one of the readers."""
        reader, seen = self.script[index], self.seen[index]
        try:
            for _ in range(reader.after):
                await checkpoint()
            await self._behave(engine, reader, seen)
        except (BackendError, EngineClosed, ReaderTooSlow) as error:
            seen.error = error
        finally:
            if reader.manner is not Manner.NEVER:
                self._busy -= 1
                if not self._busy:
                    self.others_done.set()

    async def _behave(self, engine: Engine, reader: Reader, seen: Seen) -> None:
        if reader.manner is Manner.COMPLETE:
            seen.tokens += await engine.complete(reader.request())
            return
        async with anyio.create_task_group() as tasks:
            if reader.manner is Manner.DEADLINE:
                tasks.start_soon(cancel_after, tasks.cancel_scope, reader.patience)
                seen.left = True
            await self._stream(engine, reader, seen)
            tasks.cancel_scope.cancel()

    async def _stream(self, engine: Engine, reader: Reader, seen: Seen) -> None:
        """Read; errors are noted here, for a task group would wrap them."""
        try:
            async with engine.stream(reader.request()) as stream:
                seen.request_id = stream.request_id
                try:
                    await self._tokens(stream, reader, seen)
                finally:
                    seen.reason = stream.finish_reason
        except (BackendError, EngineClosed, ReaderTooSlow) as error:
            seen.error = error
        finally:
            if seen.request_id is not None:
                lives = bool(engine._kernel.cancel(seen.request_id))
                seen.forgotten = lives and not engine._driver._stopping

    async def _tokens(
        self, stream: AsyncIterator[int], reader: Reader, seen: Seen
    ) -> None:
        if reader.manner is Manner.NEVER:
            await self.others_done.wait()
        if reader.manner is Manner.IMPATIENT:
            stream = Impatient(stream, reader.patience)
        async for token in stream:
            seen.tokens.append(token)
            leaves = reader.manner is Manner.LEAVES
            if leaves and len(seen.tokens) > reader.patience:
                seen.left = True
                return
            for _ in range(reader.patience if reader.manner is Manner.RESTS else 0):
                await checkpoint()
        seen.left = False


# --- the backend --------------------------------------------------------------------

Fault = Callable[[StepPlan], object]
"""Raises, or makes up an answer that is wrong."""


class Fire(Exception):
    """What a backend may raise."""


class Exit(BaseException):
    """What ends the engine: no mere failure of a step."""


def burn(plan: StepPlan) -> object:
    raise Fire(plan.step_id)


def call_for_exit(plan: StepPlan) -> object:
    raise Exit(plan.step_id)


def answer(plan: StepPlan, extra: int = 0) -> dict[RequestId, int]:
    tokens = dict.fromkeys(sampled(plan), 1)
    if extra:
        tokens[RequestId(extra)] = 1
    return tokens


FAULTS: dict[str, Fault] = {
    "raises": burn,
    "answers with None": lambda _: None,
    "answers another step": lambda p: StepResult(type(p.step_id)(10**9), answer(p)),
    "a token too many": lambda p: StepResult(p.step_id, answer(p, extra=10**9)),
    "a negative token": lambda p: StepResult(
        p.step_id, dict.fromkeys(answer(p, extra=10**9), -1)
    ),
    "stops a stranger": lambda p: StepResult(p.step_id, answer(p), (RequestId(10**9),)),
    "tokens are a list": lambda p: StepResult(p.step_id, list(answer(p))),  # type: ignore[arg-type]  # that is what is wrong
}
CRASHES: dict[str, Fault] = FAULTS | {"calls for exit": call_for_exit}
faults = st.lists(
    st.one_of(st.none(), st.none(), st.sampled_from(sorted(FAULTS))), max_size=20
)


class Unreliable:
    """A simulated backend, strict, that answers as it is told; a plain function."""

    def __init__(self, faults: list[str | None], capacity: Capacity) -> None:
        self._inner = SimulatedBackend(
            kv_tokens=capacity.blocks * capacity.block_size,
            block_size=capacity.block_size,
            max_sequences=capacity.max_sequences,
            tokens_per_step=capacity.tokens_per_step,
            strict=True,
        )
        self._faults = iter(faults)
        self.closed = 0
        self.running = False
        self.begun = 0
        self.at_begin: Callable[[int], None] | None = None
        """Is told in the event loop how many steps have begun."""
        self.hit: list[RequestId] = []
        """For whom the first step that failed was to compute something."""
        self.misuse: list[str] = []
        """What an engine must not do."""

    @property
    def capacity(self) -> Capacity:
        return self._inner.capacity

    def close(self) -> None:
        if self.running:
            self.misuse.append("closed during a step")
        self.closed += 1
        self._inner.close()

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """A step runs: no other, to its end, and before the backend is closed."""
        if self.running or self.closed:
            self.misuse.append("two steps at once, or one after close")
        self.running = True
        self.begun += 1
        try:
            yield
        finally:
            self.running = False

    def answer(self, plan: StepPlan) -> StepResult:
        fault = next(self._faults, None)
        if fault is not None:
            chunks = [chunk.request_id for chunk in plan.chunks]
            self.hit = self.hit or [*plan.decodes, *chunks]
            return CRASHES[fault](plan)  # type: ignore[return-value]  # a wrong one
        try:
            return self._inner.step(plan)
        except BackendError as error:
            self.misuse.append(str(error))
            raise


class InThread(Unreliable):
    """With a step that is a plain function."""

    def step(self, plan: StepPlan) -> StepResult:
        with self.one_step():
            if self.at_begin is not None:
                anyio.from_thread.run_sync(self.at_begin, self.begun)
            return self.answer(plan)


class InTask(Unreliable):
    """With a step that is a coroutine, and suspends now and then."""

    async def step(self, plan: StepPlan) -> StepResult:
        with self.one_step():
            if self.at_begin is not None:
                self.at_begin(self.begun)
            try:
                for _ in range(plan.step_id % 3):
                    await checkpoint()
            except BaseException:
                self.misuse.append("a step was interrupted")
                raise
            return self.answer(plan)


async def settled(engine: Engine) -> None:
    """Wait until no step is outstanding, or none will ever be answered."""
    while (
        engine._kernel.snapshot().outstanding is not None and not engine._driver.crash
    ):
        await checkpoint()
