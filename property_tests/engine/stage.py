"""An engine on a stage: its readers, who is cancelled when, and what is left of it."""

from collections import Counter
from collections.abc import Iterator

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st

from fairq import (
    BackendError,
    Capacity,
    Engine,
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
from property_tests.engine.scripts import (
    Exit,
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
from property_tests.engine.suspensions import HOLDER, Cut, How, run_cut

LOOPS = ("asyncio", "trio")
LIMIT_S = 10
"""A hang becomes a failure; nothing here waits for time to pass."""
MOST = 10_000
"""Suspensions that no task of a case has."""
ENOUGH = 24
"""More suspensions than any task has that only waits for its turn."""

Kind = type[InTask | InThread]
backends = pytest.mark.parametrize("kind", [InTask, InThread], ids=["task", "thread"])
loops = pytest.mark.parametrize("loop", LOOPS)


@attrs.frozen
class Case:
    """One engine, its readers, who is cancelled, and when its block is left."""

    script: list[Reader]
    faults: list[str | None] = attrs.field(factory=list)
    capacity: Capacity = attrs.field(
        factory=lambda: Capacity(
            blocks=12, block_size=2, max_sequences=2, tokens_per_step=6
        )
    )
    max_failures: int = 0
    buffer: int = 64
    leaves_after: int | None = None
    """Suspensions after which the block is left; None when all readers are done."""
    leaves_at_step: int | None = None
    """Steps that have begun by the time the block is left."""
    inside: Reader | None = None
    """What the holder itself awaits before anything else."""
    cuts: tuple[Cut, ...] = ()


def cases(
    leaves_after: st.SearchStrategy[int | None],
    cuts: st.SearchStrategy[tuple[Cut, ...]],
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
        cuts=cuts,
    )


def cuts_by(hows: list[How]) -> st.SearchStrategy[tuple[Cut, ...]]:
    """Some tasks to cancel, each at one of its suspensions."""
    who = st.integers(HOLDER, 7)
    return st.lists(
        st.builds(Cut, who, st.integers(0, 30), st.sampled_from(hows)),
        max_size=4,
        unique_by=lambda cut: cut.who,
    ).map(tuple)


nobody: st.SearchStrategy[tuple[Cut, ...]] = st.just(())
"""Is cancelled."""


class Ends:
    """Counts how often each stream is ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count: Counter[RequestId] = Counter()
        original = TokenStream._end

        def end(
            stream: TokenStream, reason: FinishReason | None, error: FairqError | None
        ) -> None:
            self.count[stream.request_id] += 1
            original(stream, reason, error)

        monkeypatch.setattr(TokenStream, "_end", end)


class Stage:
    """Plays a case; afterwards it is what is left of it."""

    def __init__(self, case: Case, kind: Kind) -> None:
        self.case = case
        self.hall = Hall(case.script)
        self.backend = kind(case.faults, case.capacity)
        self.ends: Counter[RequestId] = Counter()
        self.engine: Engine | None = None
        self.statistics: Statistics | None = None
        self.unread: int | None = None
        """Requests in the kernel when all who read were done; None if it ended
        earlier."""
        self.raised: BaseException | None = None
        """What came out of ``open_engine``."""
        self.suspensions: dict[int, int] = {}
        """Of those who were to be cancelled."""

    async def play(self) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch, anyio.fail_after(LIMIT_S):
            ends = Ends(monkeypatch)
            async with anyio.create_task_group() as self._tasks:
                await self._be(HOLDER)
                if self.engine is not None:
                    self.statistics = self.engine.statistics()
            self.ends = ends.count

    async def _be(self, who: int) -> None:
        """Run the holder or a reader, cancelled if the case says so."""
        cuts = [cut for cut in self.case.cuts if cut.who == who]
        if not cuts:
            await self._task(who)
            return
        (cut,) = cuts
        self.suspensions[who] = await run_cut(lambda: self._task(who), cut)
        if who != HOLDER:
            self.hall.seen[who].cut = self.suspensions[who] > cut.at

    async def _task(self, who: int) -> None:
        if who == HOLDER:
            await self._hold()
        elif self.engine is not None:
            await self.hall.read(self.engine, who)

    async def _hold(self) -> None:
        case = self.case
        policy = Policy(max_failures=case.max_failures)
        try:
            async with open_engine(self.backend, policy, buffer=case.buffer) as engine:
                self.engine = engine
                for index in range(len(case.script)):
                    self._tasks.start_soon(self._be, index)
                await self._stay(engine)
        except Exit as error:
            self.raised = error

    async def _begun(self, step: int) -> None:
        """Wait for a step, or until there will be no more of them."""
        event = anyio.Event()
        self.backend.at_begin = lambda begun: event.set() if begun > step else None

        async def all_done() -> None:
            await self.hall.others_done.wait()
            event.set()

        self._tasks.start_soon(all_done)
        await event.wait()

    async def _stay(self, engine: Engine) -> None:
        case = self.case
        if case.inside is not None:
            tokens = await engine.complete(case.inside.request())
            assert case.inside.expected() == list(tokens)
        if case.leaves_at_step is not None:
            await self._begun(case.leaves_at_step)
        elif case.leaves_after is None:
            await self.hall.others_done.wait()
            await settled(engine)
            if engine._driver.crash is None:
                self.unread = len(engine._kernel.snapshot().requests)
        for _ in range(case.leaves_after or 0):
            await checkpoint()


def play_every_cut(
    case: Case, kind: Kind, loop: str, who: int, how: How
) -> Iterator[Stage]:
    """A case again and again, one task cancelled at each suspension that it has.

    Beside a thread, a task that polls suspends as often as the thread takes long; then
    only the first ones are tried.
    """
    for at in range(ENOUGH if kind is InThread else MOST):
        stage = play(attrs.evolve(case, cuts=(Cut(who, at, how),)), kind, loop)
        if stage.suspensions.get(who, 0) <= at:
            return
        yield stage
    if kind is InThread:
        return
    msg = f"It still suspends after {MOST} suspensions."
    raise AssertionError(msg)


def play(case: Case, kind: Kind, loop: str) -> Stage:
    """Play a case on an event loop and check what must hold whatever it was."""
    stage = Stage(case, kind)
    anyio.run(stage.play, backend=loop)
    check_stage(stage)
    return stage


# --- what must hold whatever happened -----------------------------------------------


def check_stage(stage: Stage) -> None:
    for reader, seen in zip(stage.case.script, stage.hall.seen, strict=True):
        check_reader(reader, seen)
    assert [] == stage.backend.misuse
    assert stage.backend.closed == 1
    engine, statistics = stage.engine, stage.statistics
    if engine is None or statistics is None:
        assert {} == stage.ends
        return
    engine._kernel.check()
    # Every stream that was ever opened was ended, and once.
    opened = range(engine._kernel._next_request)
    assert dict.fromkeys(opened, 1) == stage.ends
    assert (0, 0) == (statistics.streams, statistics.buffered)
    check_the_unread(stage)


def check_reader(reader: Reader, seen: Seen) -> None:
    """A reader got its own tokens, in order; all of them unless it was told why not."""
    expected = reader.expected()
    assert expected[: len(seen.tokens)] == seen.tokens
    assert not seen.forgotten
    if seen.error is None and not seen.left and not seen.cut:
        assert expected == seen.tokens
        if seen.reason is not None:
            assert seen.reason in (FinishReason.LENGTH, FinishReason.STOP)
    if isinstance(seen.error, BackendError):
        assert seen.reason in (FinishReason.FAILED, None)
    if isinstance(seen.error, ReaderTooSlow):
        # It gets what was in the buffer, after what it had read before.
        assert seen.error.buffered <= len(seen.tokens)
        if reader.manner is Manner.NEVER:
            assert seen.error.buffered == len(seen.tokens)


def check_the_unread(stage: Stage) -> None:
    """No request lives on that nobody reads, while the engine does."""
    if stage.unread is None:
        return
    slow = [each for each in stage.case.script if each.manner is Manner.NEVER]
    assert stage.unread <= len(slow)


def check_whole(stage: Stage, manners: tuple[Manner, ...]) -> None:
    """Everybody with these manners that was not cancelled has everything."""
    for reader, seen in zip(stage.case.script, stage.hall.seen, strict=True):
        if reader.manner in manners and not seen.cut:
            assert seen.error is None
            assert reader.expected() == seen.tokens


def check_closed(stage: Stage) -> None:
    """Everybody that was not cancelled has everything, or was told of the end."""
    for reader, seen in zip(stage.case.script, stage.hall.seen, strict=True):
        if seen.cut or seen.left:
            continue
        whole = seen.error is None and reader.expected() == seen.tokens
        assert whole or isinstance(seen.error, EngineClosed)
