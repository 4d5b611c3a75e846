"""Two things that happen at the same moment."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import anyio
import pytest
from anyio.lowlevel import checkpoint

from fairq.engine import open_engine
from fairq.engine._stream import TokenStream
from fairq.engine._wakeup import best_wakeup
from fairq.kernel import Kernel
from fairq.request import RequestId
from tests.engine.fakes import AsyncEcho, Make, ask, checked_engine


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


P = ParamSpec("P")
T = TypeVar("T")


async def test_the_kernel_is_only_ever_called_in_the_thread_of_the_loop(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the backend runs: a kernel that two threads change would be lost."""
    threads: list[int] = []

    def watched(method: Callable[P, T]) -> Callable[P, T]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            threads.append(threading.get_ident())
            return method(*args, **kwargs)

        return call

    for name in ("submit", "cancel", "plan", "commit", "fail"):
        monkeypatch.setattr(Kernel, name, watched(getattr(Kernel, name)))
    backend = make((None, lambda _: None))  # the second answer is wrong: a failure
    async with checked_engine(backend) as engine:
        await engine.complete(ask(3))
        async with engine.stream(ask(9)) as stream:
            await anext(stream)  # and leaving cancels the rest
    assert len(threads) > 12
    assert [threading.get_ident()] * len(threads) == threads
