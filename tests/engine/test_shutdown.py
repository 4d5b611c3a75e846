"""However an engine ends, each stream and the backend end once."""

import anyio
import pytest

from fairq.engine import Engine
from fairq.errors import EngineClosed
from fairq.policy import Policy
from fairq.tokens import TokenIds
from tests.engine.fakes import AsyncEcho, Make, SyncEcho, ask, checked_engine, read

Outcome = tuple[list[int], Exception | None]


class Reader:
    """A task outside of the engine's block that reads one stream."""

    def __init__(self) -> None:
        self.open = anyio.Event()
        self.outcomes: list[Outcome] = []

    async def run(self, engine: Engine, tokens: int = 50) -> None:
        async with engine.stream(ask(tokens)) as stream:
            self.open.set()
            self.outcomes.append(await read(stream))

    def assert_closed(self, expected: list[int]) -> None:
        ((tokens, error),) = self.outcomes
        assert expected == tokens
        assert isinstance(error, EngineClosed)


async def release_when_leaving(backend: AsyncEcho | SyncEcho, engine: Engine) -> None:
    while not engine._driver._stopping:
        await anyio.lowlevel.checkpoint()
    backend.log.append("leaving")
    backend.release(100)


async def test_leaving_an_idle_engine_closes_the_backend_once(make: Make) -> None:
    backend = make()
    async with checked_engine(backend) as engine:
        await anyio.wait_all_tasks_blocked()
    assert ["close"] == backend.log
    assert engine.statistics().streams == 0


async def test_leaving_at_once_closes_the_backend_once(make: Make) -> None:
    backend = make()
    async with checked_engine(backend):
        pass
    assert backend.closed == 1


async def test_leaving_waits_for_the_step_that_runs(make: Make) -> None:
    backend = make(held=True)
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        async with checked_engine(backend) as engine:
            tasks.start_soon(reader.run, engine)
            await backend.wait_begun()
            tasks.start_soon(release_when_leaving, backend, engine)
    assert ["begin 0", "leaving", "end 0", "close"] == backend.log
    reader.assert_closed([0])


async def test_leaving_ends_running_and_waiting_streams_once(make: Make) -> None:
    backend = make(held=True)
    readers = [Reader() for _ in range(4)]
    async with anyio.create_task_group() as tasks:
        async with checked_engine(backend, Policy(max_sequences=1)) as engine:
            for reader in readers:
                tasks.start_soon(reader.run, engine)
                await reader.open.wait()
            await backend.wait_begun()
            tasks.start_soon(release_when_leaving, backend, engine)
    readers[0].assert_closed([0])
    for reader in readers[1:]:
        reader.assert_closed([])
    assert backend.closed == 1


async def test_a_request_that_the_last_step_finishes_ends_well(make: Make) -> None:
    backend = make(held=True)
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        async with checked_engine(backend) as engine:
            tasks.start_soon(reader.run, engine, 1)
            await backend.wait_begun()
            tasks.start_soon(release_when_leaving, backend, engine)
    assert [([0], None)] == reader.outcomes


async def test_tokens_in_the_buffer_come_before_the_end(make: Make) -> None:
    backend = make(held=True)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with checked_engine(backend) as engine:
                stream = engine.stream(ask(50))
                tokens = await stream.__aenter__()
                backend.release(2)
                while len(tokens) < 2:
                    await anyio.lowlevel.checkpoint()
                tasks.start_soon(release_when_leaving, backend, engine)
            got, error = await read(tokens)
            assert [0, 1, 2] == got
            assert isinstance(error, EngineClosed)
            assert tokens.finish_reason is None
            await stream.__aexit__(None, None, None)


async def test_a_closed_engine_refuses_requests(make: Make) -> None:
    async with checked_engine(make()) as engine:
        assert TokenIds([0]) == await engine.complete(ask(1))
    with pytest.raises(EngineClosed, match="is closed"):
        async with engine.stream(ask(1)):
            pytest.fail("it was accepted")
    with pytest.raises(EngineClosed):
        await engine.complete(ask(1))
    assert engine.statistics().tokens == 1


async def test_being_cancelled_from_outside_ends_everything_once(make: Make) -> None:
    backend = make(held=True)
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            async with checked_engine(backend) as engine:
                tasks.start_soon(reader.run, engine)
                await backend.wait_begun()
                tasks.start_soon(release_when_leaving, backend, engine)
                scope.cancel()
                await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert ["begin 0", "leaving", "end 0", "close"] == backend.log
    reader.assert_closed([0])


async def test_a_deadline_around_the_engine_is_reported_as_one(make: Make) -> None:
    backend = make()
    with pytest.raises(TimeoutError):  # noqa: PT012  # the whole block times out
        with anyio.fail_after(0.01):
            async with checked_engine(backend):
                await anyio.sleep_forever()
    assert backend.closed == 1


class OwnExit(BaseException):
    """An error that is no Exception."""


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("mine"), OwnExit(), ExceptionGroup("mine", [ValueError()])],
    ids=["error", "exit", "group"],
)
async def test_an_error_of_the_block_comes_out_bare(
    make: Make, error: BaseException
) -> None:
    backend = make()
    with pytest.raises(type(error)) as raised:  # noqa: PT012  # leaving it raises
        async with checked_engine(backend) as engine:
            await engine.complete(ask(1))
            raise error
    assert error is raised.value
    assert backend.closed == 1


async def test_an_error_of_the_block_ends_streams_of_other_tasks(make: Make) -> None:
    backend = make(held=True)
    reader = Reader()
    async with anyio.create_task_group() as tasks:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012  # leaving it raises
            async with checked_engine(backend) as engine:
                tasks.start_soon(reader.run, engine)
                await backend.wait_begun()
                tasks.start_soon(release_when_leaving, backend, engine)
                raise ZeroDivisionError
    reader.assert_closed([0])


async def test_two_engines_live_side_by_side(make: Make) -> None:
    first, second = make(), make()
    async with checked_engine(first) as one:
        async with checked_engine(second) as two:
            assert TokenIds([0, 1]) == await one.complete(ask(2))
            assert TokenIds([0, 1]) == await two.complete(ask(2))
        assert (0, 1) == (first.closed, second.closed)
        assert TokenIds([0, 1]) == await one.complete(ask(2))
    assert first.closed == 1
