"""Tokens arrive in order, once, and leaving early gives everything back."""

import threading

import anyio
import pytest

from fairq.backend import Capacity
from fairq.engine import Engine
from fairq.engine._streams import Answer
from fairq.errors import RequestRejected, UsageError
from fairq.events import FinishReason
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import RequestId
from fairq.tokens import TokenIds
from tests.engine.fakes import (
    CAPACITY,
    AsyncEcho,
    Echo,
    Make,
    SyncEcho,
    ask,
    checked_engine,
    emptied,
    read,
)


async def test_tokens_come_in_order_and_end_with_a_reason(make: Make) -> None:
    async with checked_engine(make()) as engine:
        async with engine.stream(ask(5)) as tokens:
            reasons = [tokens.finish_reason]
            assert ([0, 1, 2, 3, 4], None) == await read(tokens)
            reasons.append(tokens.finish_reason)
        assert [None, FinishReason.LENGTH] == reasons
        await emptied(engine)


async def test_every_one_of_many_readers_gets_its_own_tokens(make: Make) -> None:
    async def one(engine: Engine, count: int) -> None:
        async with engine.stream(ask(count, tenant=f"t{count % 3}")) as tokens:
            assert (list(range(count)), None) == await read(tokens)

    async with checked_engine(make()) as engine:
        async with anyio.create_task_group() as tasks:
            for count in range(1, 30):
                tasks.start_soon(one, engine, count)
        await emptied(engine)
        assert sum(range(30)) == engine.statistics().tokens


async def test_a_stop_of_the_backend_ends_the_stream_early(make: Make) -> None:
    def stop(result: StepResult) -> StepResult:
        return StepResult(result.step_id, result.tokens, stopped=tuple(result.tokens))

    async with (
        checked_engine(make((stop,))) as engine,
        engine.stream(ask(5)) as tokens,
    ):
        assert ([0], None) == await read(tokens)
        assert tokens.finish_reason is FinishReason.STOP


async def test_an_ended_stream_stays_ended(make: Make) -> None:
    async with checked_engine(make()) as engine, engine.stream(ask(1)) as tokens:
        assert ([0], None) == await read(tokens)
        assert ([], None) == await read(tokens)


async def test_complete_returns_all_tokens_packed(make: Make) -> None:
    async with checked_engine(make()) as engine:
        assert TokenIds([0, 1, 2]) == await engine.complete(ask(3))
        await emptied(engine)


async def test_a_request_submitted_after_an_idle_time_runs(make: Make) -> None:
    async with checked_engine(make()) as engine:
        for _ in range(3):
            assert TokenIds([0, 1]) == await engine.complete(ask(2))
            await anyio.wait_all_tasks_blocked()


async def test_leaving_early_cancels_and_frees_everything(make: Make) -> None:
    async with checked_engine(make()) as engine:
        async with engine.stream(ask(200)) as tokens:
            assert await anext(tokens) == 0
        assert tokens.finish_reason is FinishReason.CANCELLED
        assert ([], None) == await read(tokens)
        await emptied(engine)


async def test_leaving_while_its_step_runs_delivers_nothing_more(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine:
        async with engine.stream(ask(5)) as tokens:
            await backend.wait_begun()
        assert engine.statistics().streams == 0
        backend.release(2)
        await emptied(engine)
        assert ([], None) == await read(tokens)
        assert engine.statistics().tokens == 0


async def test_leaving_while_it_waits_in_the_queue_cancels_at_once(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend, Policy(max_sequences=1)) as engine:
        async with engine.stream(ask(1)) as first:
            await backend.wait_begun()
            async with engine.stream(ask(1)):
                assert engine.statistics().kernel.waiting == 2
            assert [first.request_id] == [
                request.request_id for request in engine.statistics().kernel.requests
            ]
            backend.release()
            assert ([0], None) == await read(first)
        await emptied(engine)


async def test_a_finished_request_is_not_cancelled_by_leaving(make: Make) -> None:
    async with checked_engine(make()) as engine:
        async with engine.stream(ask(1)) as tokens:
            while tokens.finish_reason is None:
                await anyio.lowlevel.checkpoint()
        assert tokens.finish_reason is FinishReason.LENGTH


async def test_a_rejected_request_raises_where_the_stream_is_opened(make: Make) -> None:
    async with checked_engine(make()) as engine:
        with pytest.raises(RequestRejected, match="can never run"):
            async with engine.stream(ask(10_000)):
                pytest.fail("it was accepted")
        with pytest.raises(RequestRejected):
            await engine.complete(ask(10_000))
        await emptied(engine)
        assert TokenIds([0]) == await engine.complete(ask(1))


async def test_a_second_reader_of_one_stream_is_refused(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine, engine.stream(ask(1)) as tokens:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, tokens)
            await backend.wait_begun()
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UsageError, match="one reader at a time"):
                await anext(tokens)
            backend.release()


async def test_a_token_in_the_buffer_is_returned_without_suspending() -> None:
    async with checked_engine(AsyncEcho()) as engine, engine.stream(ask(3)) as tokens:
        while len(tokens) < 3:
            await anyio.lowlevel.checkpoint()
        for expected in range(3):
            with pytest.raises(StopIteration) as returned:
                tokens.__anext__().send(None)
            assert expected == returned.value.value


async def test_the_next_step_begins_before_tokens_of_the_last_are_handed_out() -> None:
    async def deliver(answer: Answer) -> None:
        handed_out.append(f"begin {answer.step_id + 1}" in backend.log)
        await original(answer)

    handed_out: list[bool] = []
    backend = AsyncEcho()
    async with checked_engine(backend) as engine:
        original, engine._streams.deliver = engine._streams.deliver, deliver  # type: ignore[method-assign]  # a spy
        await engine.complete(ask(20))
    assert [*[True] * 19, False] == handed_out


async def test_the_next_step_is_in_its_thread_before_tokens_are_handed_out() -> None:
    class Watched(SyncEcho):
        def step(self, plan: StepPlan) -> StepResult:
            started[plan.step_id].set()
            return super().step(plan)

    async def deliver(answer: Answer) -> None:
        # Blocks the event loop: only a step that was dispatched already can begin.
        last = answer.step_id == 19
        handed_out.append(last or started[answer.step_id + 1].wait(2))
        await original(answer)

    started = [threading.Event() for _ in range(20)]
    handed_out: list[bool] = []
    async with checked_engine(Watched()) as engine:
        original, engine._streams.deliver = engine._streams.deliver, deliver  # type: ignore[method-assign]  # a spy
        await engine.complete(ask(20))
    assert [True] * 20 == handed_out


async def test_tokens_are_read_while_the_next_step_runs(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend) as engine, engine.stream(ask(2)) as tokens:
        backend.release()
        assert await anext(tokens) == 0
        for _ in range(2):
            await backend.wait_begun()
        assert ["begin 0", "end 0", "begin 1"] == backend.log
        backend.release()
        assert ([1], None) == await read(tokens)


async def test_steps_and_close_share_one_thread_that_is_not_the_loops() -> None:
    backend = SyncEcho()
    async with checked_engine(backend) as engine:
        await engine.complete(ask(5))
        await engine.complete(ask(5))
    assert len(backend.threads) == 1
    assert threading.get_ident() not in backend.threads


async def test_a_backend_that_never_suspends_does_not_starve_other_tasks() -> None:
    async def other() -> None:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        steps.append(engine.statistics().steps)

    steps: list[int] = []
    backend = AsyncEcho(capacity=Capacity(blocks=4096, max_sequences=4))
    async with checked_engine(backend) as engine:
        async with anyio.create_task_group() as tasks, engine.stream(ask(500)) as it:
            tasks.start_soon(other)
            assert (list(range(500)), None) == await read(it)
    assert steps[0] < 100


async def test_statistics_tell_what_waits_runs_and_was_delivered(make: Make) -> None:
    backend = make(held=True)
    async with checked_engine(backend, Policy(max_sequences=1)) as engine:
        async with engine.stream(ask(3)) as first, engine.stream(ask(3, tenant="b")):
            backend.release(2)
            while len(first) < 2:
                await anyio.lowlevel.checkpoint()
            now = engine.statistics()
            assert (type(backend).__name__, 2, 0) == (
                now.backend,
                now.steps,
                now.failed_steps,
            )
            assert (2, 2, 2) == (now.tokens, now.streams, now.buffered)
            assert (1, 1) == (now.kernel.waiting, now.kernel.running)
            assert {"a": 2, "b": 0} == {
                tenant.tenant: tenant.output_tokens for tenant in now.kernel.tenants
            }
            backend.release(5)
    assert engine.statistics().streams == 0


async def test_ids_are_the_kernels(make: Make) -> None:
    async with checked_engine(make()) as engine:
        async with engine.stream(ask(1)) as first, engine.stream(ask(1)) as second:
            assert (RequestId(0), RequestId(1)) == (
                first.request_id,
                second.request_id,
            )


async def test_a_backend_is_opened_by_name(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = make()
    opened = {"echo": backend}
    monkeypatch.setattr("fairq.engine._engine.load_backend", opened.__getitem__)
    async with checked_engine("echo") as engine:
        assert TokenIds([0]) == await engine.complete(ask(1))
        assert engine.statistics().backend == "echo"
    assert backend.closed == 1


async def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match="no-such-backend"):
        async with checked_engine("no-such-backend"):
            pytest.fail("it was opened")


@pytest.mark.parametrize("buffer", [1, 0, -1, True, 2.0, None])
async def test_a_buffer_that_is_too_small_or_no_number_is_refused(
    buffer: object,
) -> None:
    backend = AsyncEcho()
    with pytest.raises(UsageError, match=r"buffer must be an integer >= 2 \(tokens\)"):
        async with checked_engine(backend, buffer=buffer):  # type: ignore[arg-type]  # the point
            pytest.fail("it was opened")


async def test_what_is_no_backend_is_refused() -> None:
    with pytest.raises(UsageError, match="capacity, step, close"):
        async with checked_engine(Echo()):  # type: ignore[arg-type]  # the point
            pytest.fail("it was opened")


async def test_a_backend_that_does_not_suit_the_policy_is_closed(make: Make) -> None:
    backend = make()
    too_many = Policy(max_sequences=CAPACITY.max_sequences + 1)
    with pytest.raises(UsageError, match="max_sequences"):
        async with checked_engine(backend, too_many):
            pytest.fail("it was opened")
    assert backend.closed == 1
