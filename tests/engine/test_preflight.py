"""A backend is asked about a request before it is queued, if it wants to be."""

from typing import cast

import anyio
import pytest

from fairq.backend import Backend
from fairq.engine import open_engine, request_check
from fairq.errors import EngineClosed, RequestRejected, UsageError
from fairq.plan import StepPlan, StepResult
from fairq.request import Request
from fairq.tokens import TokenIds
from tests.engine.fakes import AsyncEcho, Make, SyncEcho, ask, checked_engine, emptied

WORST = 7
"""A token that no model here knows."""


Asked = tuple[AsyncEcho | SyncEcho, list[Request]]


def refuses(make: Make) -> Asked:
    """A backend whose step fails for everybody when a bad request enters."""
    backend, seen = make(), list[Request]()
    answer = backend.answer

    def check(request: Request) -> None:
        seen.append(request)
        if WORST in request.prompt:
            msg = "Request.prompt must have token ids below 7."
            raise UsageError(msg)
        if len(request.prompt) > 20:
            msg = "The prompt is too long."
            raise RequestRejected(msg, retryable=False, needed=21, available=20)

    def strict(plan: StepPlan) -> StepResult:
        if any(WORST in enter.tokens for enter in plan.enter):
            msg = "a token that nobody knows"
            raise OSError(msg)
        return answer(plan)

    vars(backend).update(check=check, answer=strict)
    return backend, seen


async def test_a_bad_request_does_not_fail_its_neighbours(make: Make) -> None:
    async with checked_engine(refuses(make)[0]) as engine:
        async with engine.stream(ask(20)) as good:
            assert 0 == await anext(good)
            with pytest.raises(UsageError, match="token ids below 7"):
                await engine.complete(ask(prompt=10))
            with pytest.raises(RequestRejected, match="too long") as refused:
                await engine.complete(
                    Request(tenant="b", prompt=[1] * 21, max_tokens=1)
                )
            assert not refused.value.retryable
            assert [*range(1, 20)] == [token async for token in good]
        assert 0 == engine.statistics().failed_steps
        await emptied(engine)


async def test_what_is_refused_never_reaches_the_kernel(make: Make) -> None:
    async with checked_engine(refuses(make)[0]) as engine:
        with pytest.raises(UsageError):
            await engine.complete(ask(prompt=10))
        assert TokenIds([0, 1]) == await engine.complete(ask(2))
        # Names are given out by the kernel, one after another.
        async with engine.stream(ask(1)) as stream:
            assert 1 == stream.request_id


async def test_each_request_is_asked_about_once(make: Make) -> None:
    backend, seen = refuses(make)
    request = ask(2)
    async with checked_engine(backend) as engine:
        await engine.complete(request)
    assert [request] == seen


async def test_a_closed_engine_asks_nobody(make: Make) -> None:
    backend, seen = refuses(make)
    async with checked_engine(backend) as engine:
        pass
    with pytest.raises(EngineClosed):
        await engine.complete(ask(1))
    assert [] == seen


async def test_an_error_of_the_check_itself_comes_out_as_it_is(make: Make) -> None:
    backend = make()
    vars(backend)["check"] = lambda _: 1 / 0
    async with checked_engine(backend) as engine:
        with pytest.raises(ZeroDivisionError):
            await engine.complete(ask(1))
        await emptied(engine)


async def test_what_is_no_request_is_for_the_kernel_to_refuse(make: Make) -> None:
    backend, seen = refuses(make)
    async with checked_engine(backend) as engine:
        with pytest.raises(UsageError, match="must be a Request; got str"):
            await engine.complete(cast("Request", "hello"))
    assert [] == seen


async def suspends(_: Request) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("check", [suspends, "yes"], ids=["coroutine", "text"])
async def test_a_check_that_is_no_plain_function_is_refused_and_the_backend_closed(
    make: Make, check: object
) -> None:
    backend = make()
    vars(backend)["check"] = check
    with pytest.raises(UsageError, match="Echo must be a plain function that takes a"):
        async with open_engine(backend):
            pass
    assert 1 == backend.closed


def test_a_backend_without_a_check_refuses_nothing() -> None:
    assert request_check(cast("Backend", SyncEcho()))(ask()) is None
