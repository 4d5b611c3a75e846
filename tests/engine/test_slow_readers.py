"""A reader that does not read harms nobody but itself."""

import anyio
import pytest

from fairq.engine import Engine
from fairq.errors import ReaderTooSlow
from fairq.events import FinishReason
from tests.engine.fakes import Make, ask, checked_engine, emptied, read


async def test_a_slow_reader_never_delays_another_stream(make: Make) -> None:
    async with checked_engine(make(), buffer=2) as engine:
        async with engine.stream(ask(60)) as slow, engine.stream(ask(60)) as quick:
            assert (list(range(60)), None) == await read(quick)
            assert len(slow) == 2
        assert engine.statistics().steps <= 61


async def test_a_slow_reader_gets_its_buffer_and_then_the_error(make: Make) -> None:
    async with checked_engine(make(), buffer=4) as engine:
        async with engine.stream(ask(60)) as tokens:
            while engine.statistics().streams:
                await anyio.lowlevel.checkpoint()
            got, error = await read(tokens)
            assert [0, 1, 2, 3] == got
            assert isinstance(error, ReaderTooSlow)
            assert error.buffered == 4
            assert tokens.finish_reason is FinishReason.CANCELLED
            with pytest.raises(ReaderTooSlow, match="larger buffer"):
                await anext(tokens)
        await emptied(engine)


async def test_a_buffer_that_the_last_token_fills_is_no_error(make: Make) -> None:
    async with checked_engine(make(), buffer=4) as engine:
        async with engine.stream(ask(4)) as tokens:
            while tokens.finish_reason is None:
                await anyio.lowlevel.checkpoint()
            assert ([0, 1, 2, 3], None) == await read(tokens)


async def test_a_last_token_that_does_not_fit_is_an_error(make: Make) -> None:
    async with checked_engine(make(), buffer=4) as engine:
        async with engine.stream(ask(5)) as tokens:
            while tokens.finish_reason is None:
                await anyio.lowlevel.checkpoint()
            got, error = await read(tokens)
            assert [0, 1, 2, 3] == got
            assert isinstance(error, ReaderTooSlow)
        await emptied(engine)


async def test_a_reader_that_keeps_up_never_loses_a_token(make: Make) -> None:
    async def keep_up(engine: Engine) -> None:
        async with engine.stream(ask(100)) as tokens:
            assert (list(range(100)), None) == await read(tokens)

    async with checked_engine(make(), buffer=2) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(keep_up, engine)


async def test_many_slow_readers_in_one_step_all_get_their_error(make: Make) -> None:
    async with checked_engine(make(), buffer=2) as engine:
        async with (
            engine.stream(ask(60)) as first,
            engine.stream(ask(60)) as second,
            engine.stream(ask(60)) as third,
        ):
            while engine.statistics().streams:
                await anyio.lowlevel.checkpoint()
            for tokens in (first, second, third):
                got, error = await read(tokens)
                assert [0, 1] == got
                assert isinstance(error, ReaderTooSlow)
        await emptied(engine)
