"""Whatever readers and backends do, every stream ends once and with its own tokens."""

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import EngineClosed
from property_tests.effort import part
from property_tests.engine.scenes import READING
from property_tests.engine.scripts import Manner
from property_tests.engine.stage import (
    Case,
    Kind,
    Stage,
    backends,
    cases,
    check_whole,
    cuts_by,
    loops,
    nobody,
    play,
)
from property_tests.engine.suspensions import How


def note(stage: Stage) -> None:
    for reader, seen in zip(stage.case.script, stage.hall.seen, strict=True):
        event(f"{type(seen.error).__name__}, {reader.manner.value}, cut {seen.cut}")


@loops
@backends
@part(2)
@given(case=cases(st.none(), nobody))
def test_readers_that_are_waited_for_leave_nothing_behind(
    loop: str, kind: Kind, case: Case
) -> None:
    stage = play(case, kind, loop)

    note(stage)
    assert stage.statistics is not None
    kernel = stage.statistics.kernel
    patient = [
        seen
        for reader, seen in zip(case.script, stage.hall.seen, strict=True)
        if reader.manner is not Manner.NEVER
    ]
    assert not any(isinstance(seen.error, EngineClosed) for seen in patient)
    slow = len(case.script) - len(patient)
    assert kernel.waiting + kernel.running <= slow
    if not slow:
        assert () == kernel.requests
        assert kernel.blocks == kernel.free_blocks + kernel.cached_blocks
    delivered = sum(len(seen.tokens) for seen in stage.hall.seen)
    assert delivered <= stage.statistics.tokens


@loops
@backends
@part(2)
@given(case=cases(st.integers(0, 40), nobody))
def test_leaving_the_engine_at_any_moment_ends_every_stream_once(
    loop: str, kind: Kind, case: Case
) -> None:
    note(play(case, kind, loop))


@loops
@backends
@part(8)
@given(
    case=cases(st.none(), nobody).map(
        lambda case: attrs.evolve(case, faults=[], max_failures=0, buffer=64)
    )
)
def test_without_faults_everybody_who_reads_gets_everything(
    loop: str, kind: Kind, case: Case
) -> None:
    stage = play(case, kind, loop)

    assert stage.statistics is not None
    assert stage.statistics.failed_steps == 0
    check_whole(stage, READING)


@loops
@backends
@part(4)
@given(data=st.data())
def test_several_tasks_may_be_cancelled_anywhere_and_the_backend_fail(
    loop: str, kind: Kind, data: st.DataObject
) -> None:
    hows = [How.AT_ONCE, How.BY_ANOTHER]
    if loop == "asyncio":
        hows.append(How.NATIVELY)
    leaves_after = st.one_of(st.none(), st.integers(0, 40))
    note(play(data.draw(cases(leaves_after, cuts_by(hows))), kind, loop))
