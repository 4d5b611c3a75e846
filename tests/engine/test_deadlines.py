"""A cancel scope ends a request wherever its task happens to wait."""

import anyio
import pytest

from fairq.engine import Engine
from fairq.policy import Policy
from fairq.tokens import TokenIds
from tests.engine.fakes import Make, ask, checked_engine, emptied, read


async def test_a_deadline_cancels_a_request_that_runs(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine:
        with pytest.raises(TimeoutError):  # noqa: PT012  # the whole block times out
            with anyio.fail_after(0.02):
                async with engine.stream(ask(5)) as tokens:
                    await read(tokens)
        assert engine.statistics().streams == 0
        backend.release(5)
        await emptied(engine)


async def test_a_deadline_cancels_a_request_that_waits(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend, Policy(max_sequences=1)) as engine:
        async with engine.stream(ask(1)) as first:
            await backend.wait_begun()
            with anyio.move_on_after(0.02) as scope:
                await engine.complete(ask(1))
            assert scope.cancelled_caught
            assert engine.statistics().streams == 1
            backend.release()
            assert ([0], None) == await read(first)
        await emptied(engine)


async def test_a_deadline_between_two_tokens_keeps_the_first(make: Make) -> None:
    backend = make(held=True)
    got = []
    async with checked_engine(backend) as engine:
        backend.release()
        with anyio.CancelScope() as scope:
            async with engine.stream(ask(5)) as tokens:
                async for token in tokens:
                    got.append(token)
                    scope.cancel()
        backend.release(5)
        await emptied(engine)
    assert [0] == got


async def test_a_deadline_that_has_passed_leaves_nothing_behind(make: Make) -> None:
    async with checked_engine(make()) as engine:
        with anyio.move_on_after(0) as scope:
            await engine.complete(ask(50))
        assert scope.cancelled_caught
        await emptied(engine)


async def test_a_deadline_while_the_reader_waits_elsewhere_cancels(make: Make) -> None:
    async with checked_engine(make()) as engine:
        with anyio.CancelScope() as scope:
            async with engine.stream(ask(50)) as tokens:
                await anext(tokens)
                scope.cancel()
                await anyio.sleep_forever()
        await emptied(engine)


async def test_one_deadline_leaves_the_other_requests_alone(make: Make) -> None:
    async def impatient(engine: Engine) -> None:
        with anyio.CancelScope() as scope:
            async with engine.stream(ask(50)) as tokens:
                await anext(tokens)
                scope.cancel()
                await read(tokens)

    async with checked_engine(make()) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(impatient, engine)
            assert TokenIds(range(50)) == await engine.complete(ask(50))
        await emptied(engine)


async def test_a_wait_that_was_cancelled_can_be_repeated(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine, engine.stream(ask(3)) as tokens:
        for _ in range(3):
            with anyio.move_on_after(0.005) as scope:
                await anext(tokens)
            assert scope.cancelled_caught
        backend.release(3)
        assert ([0, 1, 2], None) == await read(tokens)


async def test_a_token_that_meets_a_cancelled_wait_is_not_lost(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine, engine.stream(ask(2)) as tokens:

        async def wait() -> None:
            with scope:
                got.append(await anext(tokens))

        got: list[int] = []
        scope = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            # The token wakes the reader, and before it runs it is cancelled as well.
            tokens._put(0)
            scope.cancel()
        backend.produced[tokens.request_id] = 1
        backend.release(2)
        rest, error = await read(tokens)
        assert ([0, 1, 2], None) == (got + rest, error)
