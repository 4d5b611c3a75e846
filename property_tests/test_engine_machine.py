"""Whatever readers and backends do, every stream ends once and with its own tokens."""

from collections import Counter

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import (
    BackendError,
    Capacity,
    EngineClosed,
    FairqError,
    FinishReason,
    Policy,
    ReaderTooSlow,
    RequestId,
    Statistics,
    TokenStream,
    open_engine,
)
from property_tests.effort import part
from property_tests.engine_scripts import (
    Hall,
    InTask,
    InThread,
    Manner,
    Reader,
    Seen,
    faults,
    readers,
    settled,
)

LOOPS = ("asyncio", "trio")
LIMIT_S = 30
"""A hang becomes a failure; nothing here waits for time to pass."""


@attrs.frozen
class Case:
    """One engine, its readers, and when its block is left."""

    script: list[Reader]
    faults: list[str | None]
    capacity: Capacity
    max_failures: int
    buffer: int
    leaves_after: int | None
    """Suspensions after which the block is left; None when all readers are done."""


def cases(
    leaves_after: st.SearchStrategy[int | None],
) -> st.SearchStrategy[Case]:
    return st.builds(
        Case,
        script=st.lists(readers, min_size=1, max_size=8),
        faults=faults,
        capacity=st.builds(
            Capacity,
            blocks=st.integers(8, 20),
            block_size=st.sampled_from([2, 4]),
            max_sequences=st.integers(1, 5),
            tokens_per_step=st.sampled_from([2, 6, 64]),
        ),
        max_failures=st.sampled_from([0, 2, 100]),
        buffer=st.sampled_from([2, 4, 64]),
        leaves_after=leaves_after,
    )


class Ends:
    """Counts how often each stream is ended, and with what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count: Counter[RequestId] = Counter()
        original = TokenStream._end

        def end(
            stream: TokenStream, reason: FinishReason | None, error: FairqError | None
        ) -> None:
            self.count[stream.request_id] += 1
            original(stream, reason, error)

        monkeypatch.setattr(TokenStream, "_end", end)


@attrs.frozen
class Aftermath:
    """What is left of a case."""

    hall: Hall
    backend: InTask | InThread
    ends: Ends
    statistics: Statistics


async def act(case: Case, kind: type[InTask | InThread]) -> Aftermath:
    hall, backend = Hall(case.script), kind(case.faults, case.capacity)
    policy = Policy(max_failures=case.max_failures)
    with pytest.MonkeyPatch.context() as monkeypatch, anyio.fail_after(LIMIT_S):
        ends = Ends(monkeypatch)
        async with anyio.create_task_group() as tasks:
            async with open_engine(backend, policy, buffer=case.buffer) as engine:
                for index in range(len(case.script)):
                    tasks.start_soon(hall.read, engine, index)
                if case.leaves_after is None:
                    await hall.others_done.wait()
                    await settled(engine._kernel)
                for _ in range(case.leaves_after or 0):
                    await checkpoint()
            engine._kernel.check()
        return Aftermath(hall, backend, ends, engine.statistics())


def check_reader(reader: Reader, seen: Seen) -> None:
    expected = reader.expected()
    assert expected[: len(seen.tokens)] == seen.tokens
    whole = seen.error is None and not seen.left
    if whole:
        assert expected == seen.tokens
        if seen.reason is not None:
            assert seen.reason in (FinishReason.LENGTH, FinishReason.STOP)
    if isinstance(seen.error, BackendError):
        assert seen.reason in (FinishReason.FAILED, None)
    if isinstance(seen.error, ReaderTooSlow):
        assert seen.error.buffered == len(seen.tokens)


def check_aftermath(case: Case, after: Aftermath) -> None:
    for reader, seen in zip(case.script, after.hall.seen, strict=True):
        check_reader(reader, seen)
        event(f"{type(seen.error).__name__}, {reader.manner.value}")
    assert after.backend.violation is None
    assert after.backend.closed == 1
    assert set(after.ends.count.values()) <= {1}
    told = {seen.request_id for seen in after.hall.seen} - {None}
    assert told <= after.ends.count.keys()
    assert after.statistics.streams == 0
    assert after.statistics.buffered == 0


backends = pytest.mark.parametrize("kind", [InTask, InThread], ids=["task", "thread"])
loops = pytest.mark.parametrize("loop", LOOPS)


@loops
@backends
@part(2)
@given(case=cases(st.none()))
def test_readers_that_are_waited_for_leave_nothing_behind(
    loop: str, kind: type[InTask | InThread], case: Case
) -> None:
    after = anyio.run(act, case, kind, backend=loop)

    check_aftermath(case, after)
    kernel = after.statistics.kernel
    patient = [
        (reader, seen)
        for reader, seen in zip(case.script, after.hall.seen, strict=True)
        if reader.manner is not Manner.NEVER
    ]
    assert not any(isinstance(seen.error, EngineClosed) for _, seen in patient)
    assert not any(seen.forgotten for _, seen in patient)
    slow = len(case.script) - len(patient)
    assert kernel.waiting + kernel.running <= slow
    if not slow:
        assert () == kernel.requests
        assert kernel.blocks == kernel.free_blocks
    delivered = sum(len(seen.tokens) for seen in after.hall.seen)
    assert delivered <= after.statistics.tokens


@loops
@backends
@part(2)
@given(case=cases(st.integers(0, 40)))
def test_leaving_the_engine_at_any_moment_ends_every_stream_once(
    loop: str, kind: type[InTask | InThread], case: Case
) -> None:
    after = anyio.run(act, case, kind, backend=loop)

    check_aftermath(case, after)


@loops
@backends
@part(8)
@given(
    case=cases(st.none()).map(
        lambda case: attrs.evolve(case, faults=[], max_failures=0, buffer=64)
    )
)
def test_without_faults_everybody_who_reads_gets_everything(
    loop: str, kind: type[InTask | InThread], case: Case
) -> None:
    after = anyio.run(act, case, kind, backend=loop)

    check_aftermath(case, after)
    assert after.statistics.failed_steps == 0
    for reader, seen in zip(case.script, after.hall.seen, strict=True):
        if reader.manner in (Manner.ALL, Manner.COMPLETE):
            assert seen.error is None
            assert reader.expected() == seen.tokens
