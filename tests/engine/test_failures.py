"""A failed step costs time; only a broken engine ends the engine."""

from collections.abc import Callable

import anyio
import pytest

from fairq.engine import Engine
from fairq.errors import BackendError, EngineClosed, InvariantError, UsageError
from fairq.events import Events, FinishReason
from fairq.kernel import Kernel
from fairq.plan import StepId, StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import RequestId
from fairq.tokens import TokenIds
from tests.engine.fakes import (
    AsyncEcho,
    Fault,
    Make,
    SyncEcho,
    ask,
    checked_engine,
    emptied,
    read,
)


def broken(result: StepResult) -> StepResult:
    msg = f"device lost in step {result.step_id}"
    raise OSError(msg)


def with_tokens(change: Callable[[dict[RequestId, int]], object]) -> Fault:
    def fault(result: StepResult) -> StepResult:
        wrong = change(dict(result.tokens))
        return StepResult(result.step_id, wrong)  # type: ignore[arg-type]  # the point

    return fault


MALFORMED: dict[str, Fault] = {
    "nothing": lambda _: None,
    "only the tokens": lambda result: result.tokens,
    "another step": lambda result: StepResult(StepId(99), result.tokens),
    "no tokens": with_tokens(lambda _: {}),
    "one token too few": with_tokens(lambda tokens: dict([*tokens.items()][1:])),
    "one token too many": with_tokens(lambda tokens: {**tokens, RequestId(77): 1}),
    "a token for another": with_tokens(
        lambda tokens: {RequestId(key + 50): token for key, token in tokens.items()}
    ),
    "tokens in a list": with_tokens(lambda tokens: [*tokens.values()]),
    "no token but None": with_tokens(dict.fromkeys),
    "a negative token": with_tokens(lambda tokens: dict.fromkeys(tokens, -1)),
    "a token too large": with_tokens(lambda tokens: dict.fromkeys(tokens, 2**31)),
    "text for a token": with_tokens(lambda tokens: dict.fromkeys(tokens, "x")),
    "stops nobody known": lambda result: StepResult(
        result.step_id, result.tokens, stopped=(RequestId(77),)
    ),
}


async def test_a_step_that_raises_once_runs_again(make: Make) -> None:
    async with checked_engine(make((None, broken))) as engine:
        assert TokenIds([0, 1, 2]) == await engine.complete(ask(3))
        now = engine.statistics()
        assert (3, 1) == (now.steps, now.failed_steps)
        await emptied(engine)


@pytest.mark.parametrize("fault", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_result_is_a_failed_step(make: Make, fault: Fault) -> None:
    async with checked_engine(make((None, fault))) as engine:
        assert TokenIds([0, 1, 2]) == await engine.complete(ask(3))
        assert engine.statistics().failed_steps == 1
        await emptied(engine)


@pytest.mark.parametrize("fault", MALFORMED.values(), ids=MALFORMED)
async def test_a_request_is_given_up_with_what_was_wrong_as_cause(
    make: Make, fault: Fault
) -> None:
    backend = make((fault, fault))
    async with checked_engine(backend, Policy(max_failures=1)) as engine:
        with pytest.raises(BackendError) as raised:
            await engine.complete(ask(3))
        assert isinstance(raised.value.__cause__, UsageError)
        await emptied(engine)


async def test_a_request_that_fails_for_good_ends_after_its_tokens(make: Make) -> None:
    backend = make((None, None, broken, broken, broken))
    async with checked_engine(backend, Policy(max_failures=2)) as engine:
        async with engine.stream(ask(9)) as tokens:
            got, error = await read(tokens)
        assert [0, 1] == got
        assert isinstance(error, BackendError)
        assert (type(backend).__name__, 4) == (error.backend, error.step_id)
        assert isinstance(error.__cause__, OSError)
        assert str(error.__cause__) == "device lost in step 4"
        assert "device lost in step 4" in str(error)
        assert tokens.finish_reason is FinishReason.FAILED
        await emptied(engine)


async def test_every_reader_gets_an_error_of_its_own(make: Make) -> None:
    errors: list[Exception | None] = []

    async def one(engine: Engine) -> None:
        async with engine.stream(ask(9)) as tokens:
            errors.append((await read(tokens))[1])

    backend = make((broken,) * 20)
    async with checked_engine(backend, Policy(max_failures=0)) as engine:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(one, engine)
    assert all(isinstance(error, BackendError) for error in errors)
    assert len({id(error) for error in errors}) == 3


async def test_the_engine_goes_on_after_a_request_was_given_up(make: Make) -> None:
    async with checked_engine(make((broken,)), Policy(max_failures=0)) as engine:
        with pytest.raises(BackendError):
            await engine.complete(ask(3))
        assert TokenIds([0, 1, 2]) == await engine.complete(ask(3))


async def test_a_backend_that_always_raises_does_not_starve_other_tasks(
    make: Make,
) -> None:
    backend = make((broken,) * 100_000)
    async with checked_engine(backend, Policy(max_failures=1_000_000)) as engine:
        async with engine.stream(ask(3)):
            while engine.statistics().failed_steps < 5:
                await anyio.lowlevel.checkpoint()
        assert engine.statistics().failed_steps < 1000
        await emptied(engine)


async def test_a_reader_may_leave_while_its_step_fails(make: Make) -> None:
    backend = make((broken,), held=True)
    async with checked_engine(backend, Policy(max_failures=0)) as engine:
        async with engine.stream(ask(3)) as tokens:
            await backend.wait_begun()
        backend.release()
        await emptied(engine)
        assert tokens.finish_reason is FinishReason.CANCELLED


async def test_a_step_that_returns_something_else_is_told_what_to_return() -> None:
    class Forgetful(SyncEcho):
        def step(self, plan: StepPlan) -> StepResult:
            super().step(plan)
            return anyio.Event()  # type: ignore[return-value]  # the point

    async with checked_engine(Forgetful(), Policy(max_failures=0)) as engine:
        with pytest.raises(BackendError, match="must be a StepResult"):
            await engine.complete(ask(1))


async def test_a_step_that_calls_for_exit_ends_the_engine(make: Make) -> None:
    def leave(_: StepResult) -> StepResult:
        raise SystemExit(3)

    backend = make((None, leave))
    with pytest.raises(SystemExit) as raised:  # noqa: PT012  # leaving it raises
        async with checked_engine(backend) as engine:
            async with engine.stream(ask(9)) as tokens:
                got, error = await read(tokens)
            assert [0] == got
            assert isinstance(error, EngineClosed)
            assert isinstance(error.__cause__, SystemExit)
            with pytest.raises(EngineClosed):
                await engine.complete(ask(1))
    assert raised.value.code == 3
    assert backend.closed == 1


class InvariantsBroken:
    """A kernel whose next commit finds a bug."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def __getattr__(self, name: str) -> object:
        return getattr(self.kernel, name)

    def commit(self, result: StepResult) -> Events:
        msg = f"Step {result.step_id} went wrong."
        raise InvariantError(msg, snapshot=None)


async def test_a_bug_in_the_kernel_ends_every_stream_and_the_block(make: Make) -> None:
    backend = make()
    with pytest.raises(InvariantError, match="Step 0 went wrong"):  # noqa: PT012  # leaving it raises
        async with checked_engine(backend) as engine:
            engine._driver._kernel = InvariantsBroken(engine._kernel)  # type: ignore[assignment]  # a fake
            async with engine.stream(ask(2)) as one, engine.stream(ask(2)) as two:
                for tokens in (one, two):
                    got, error = await read(tokens)
                    assert [] == got
                    assert isinstance(error, EngineClosed)
                    assert isinstance(error.__cause__, InvariantError)
    assert backend.closed == 1


async def test_a_failure_of_the_block_does_not_hide_a_bug_in_the_kernel() -> None:
    with pytest.raises(InvariantError) as raised:  # noqa: PT012  # leaving it raises
        async with checked_engine(AsyncEcho()) as engine:
            engine._driver._kernel = InvariantsBroken(engine._kernel)  # type: ignore[assignment]  # a fake
            await engine.complete(ask(2))
    assert isinstance(raised.value.__context__, EngineClosed)


async def test_an_error_in_handing_out_ends_the_engine(make: Make) -> None:
    def no_cancel(request_id: int) -> Events:
        msg = f"Request {request_id} cannot be cancelled."
        raise InvariantError(msg, snapshot=None)

    class Uncancellable(InvariantsBroken):
        cancel = staticmethod(no_cancel)

    backend = make()
    with pytest.raises(InvariantError, match="cannot be cancelled"):  # noqa: PT012  # leaving it raises
        async with checked_engine(backend, buffer=2) as engine:
            engine._streams._kernel = Uncancellable(engine._kernel)  # type: ignore[assignment]  # a fake
            async with engine.stream(ask(60)) as tokens:
                while engine.statistics().streams:
                    await anyio.lowlevel.checkpoint()
                got, error = await read(tokens)
                assert [0, 1] == got
                assert isinstance(error, EngineClosed)
                assert isinstance(error.__cause__, InvariantError)
    assert backend.closed == 1


async def test_a_close_that_raises_is_raised_on_leaving(make: Make) -> None:
    class Stuck(make):  # type: ignore[misc,valid-type]  # either kind
        def close(self) -> None:
            super().close()
            msg = "device busy"
            raise OSError(msg)

    with pytest.raises(OSError, match="device busy"):
        async with checked_engine(Stuck()) as engine:
            await engine.complete(ask(1))


async def test_an_invariant_error_of_a_backend_is_a_failed_step() -> None:
    def other(result: StepResult) -> StepResult:
        msg = f"The backend's own bug in step {result.step_id}."
        raise InvariantError(msg, snapshot=None)

    async with checked_engine(AsyncEcho((other, None))) as engine:
        tokens = await engine.complete(ask(2))
        assert engine.statistics().failed_steps == 1
        assert len(tokens) == 2


async def test_a_step_may_be_an_object_with_an_async_call() -> None:
    class Step:
        def __init__(self, backend: AsyncEcho) -> None:
            self._backend = backend

        async def __call__(self, plan: StepPlan) -> StepResult:
            return await AsyncEcho.step(self._backend, plan)

    backend = AsyncEcho()
    backend.step = Step(backend)  # type: ignore[method-assign]  # the test
    async with checked_engine(backend) as engine:
        assert len(await engine.complete(ask(2))) == 2


async def test_a_class_is_no_backend() -> None:
    with pytest.raises(UsageError, match="must be a backend"):
        async with checked_engine(AsyncEcho):  # type: ignore[arg-type]  # wrong on purpose
            pass
