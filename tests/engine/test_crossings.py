"""Two things that happen at the same moment."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fairq.engine import open_engine
from fairq.engine._stream import TokenStream
from fairq.engine._wakeup import best_wakeup
from fairq.request import RequestId
from tests.engine.fakes import AsyncEcho, ask


async def cross(stream: TokenStream) -> None:
    """A deadline ends the wait for a token in the moment in which the token comes."""
    scope = anyio.CancelScope()

    async def wait() -> None:
        with scope:
            await anext(stream)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        while not stream._waiting:
            await checkpoint()
        scope.cancel()
        stream._put(7)


async def test_a_deadline_that_crosses_a_token_does_not_spoil_the_stream() -> None:
    stream = TokenStream(RequestId(0), 8, best_wakeup()())
    with anyio.fail_after(5):
        await cross(stream)
        got = [await anext(stream)] if len(stream) else []
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                got.extend([await anext(stream), await anext(stream)])

            tasks.start_soon(read)
            for token in (8, 9):
                while not stream._waiting:
                    await checkpoint()
                stream._put(token)

    assert [8, 9] == got[-2:]


async def test_an_error_of_the_block_survives_a_cancelled_scope() -> None:
    msg = "not to be lost"
    with anyio.fail_after(5), pytest.raises(ValueError, match=msg):  # noqa: PT012  # leaving raises
        with anyio.CancelScope() as scope:
            async with open_engine(AsyncEcho()) as engine, engine.stream(ask()):
                scope.cancel()
                raise ValueError(msg)
