"""Any task may be cancelled at any of its suspensions; each of them is tried.

Trio shuffles the tasks whose turn it is. Hypothesis fixes how, so ``given`` stands
where there is nothing to choose but the scene.
"""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq import EngineClosed
from property_tests.effort import part
from property_tests.engine.scenes import KEEPING_UP, READING, SCENES, reader
from property_tests.engine.scripts import InTask, InThread, Manner
from property_tests.engine.stage import (
    LOOPS,
    MOST,
    Case,
    Kind,
    Stage,
    backends,
    cases,
    check_closed,
    check_whole,
    loops,
    nobody,
    play,
    play_every_cut,
)
from property_tests.engine.suspensions import HOLDER, Cut, How

HOWS = {
    "asyncio": [How.AT_ONCE, How.BY_ANOTHER, How.NATIVELY],
    "trio": [How.AT_ONCE, How.BY_ANOTHER],
}
WAYS: list[tuple[Kind, str, How]] = [
    (InTask, loop, how) for loop in LOOPS for how in HOWS[loop]
]
# A thread makes each of them slow and tells little that is new.
WAYS += [
    (InThread, "asyncio", How.NATIVELY),
    (InThread, "trio", How.BY_ANOTHER),
]
ways = pytest.mark.parametrize(
    ("kind", "loop", "how"),
    WAYS,
    ids=[f"{kind.__name__}-{loop}-{how.name}".lower() for kind, loop, how in WAYS],
)
scenes = st.sampled_from(list(SCENES))


def undisturbed(case: Case, who: int) -> int:
    """Suspensions of a task, on asyncio with a coroutine: always the same."""
    cut = Cut(who, 10**9)
    return play(attrs.evolve(case, cuts=(cut,)), InTask, "asyncio").suspensions[who]


def check_others(case: Case, stage: Stage) -> None:
    """Who was not cancelled has everything, unless the scene is about failures."""
    if not case.faults:
        check_whole(stage, KEEPING_UP if case.buffer == 2 else READING)


def check_all_were_tried(case: Case, cut: Cut, stages: list[Stage]) -> None:
    """As many runs as there are suspensions, where that number is always the same."""
    assert undisturbed(case, cut.who) == len(stages)
    assert list(range(len(stages))) == [stage.case.cuts[0].at for stage in stages]


# --- readers ------------------------------------------------------------------------


@ways
@pytest.mark.parametrize("who", range(4))
@given(name=scenes)
def test_a_reader_may_be_cancelled_at_every_suspension(
    kind: Kind, loop: str, how: How, who: int, name: str
) -> None:
    case = SCENES[name]
    who %= len(case.script)

    stages = list(play_every_cut(case, kind, loop, who, how))

    for stage in stages:
        check_others(case, stage)
        assert stage.unread is not None
    assert len(stages) > case.script[who].after
    if (kind, loop, how) == WAYS[0]:
        check_all_were_tried(case, Cut(who, 0), stages)


@part(5)
@given(
    case=cases(st.none(), nobody),
    kind=st.sampled_from([InTask, InThread]),
    loop_and_how=st.sampled_from([(loop, how) for _, loop, how in WAYS]),
    who=st.integers(0, 7),
)
def test_any_reader_of_any_script_may_be_cancelled_at_every_suspension(
    case: Case, kind: Kind, loop_and_how: tuple[str, How], who: int
) -> None:
    loop, how = loop_and_how
    for stage in play_every_cut(case, kind, loop, who % len(case.script), how):
        assert stage.unread is not None


# --- the task that holds the engine -------------------------------------------------


@ways
@given(name=scenes, leaves_after=st.sampled_from([None, 0, 6]))
def test_the_task_that_holds_the_engine_may_be_cancelled_at_every_suspension(
    kind: Kind, loop: str, how: How, name: str, leaves_after: int | None
) -> None:
    case = attrs.evolve(SCENES[name], leaves_after=leaves_after)

    stages = list(play_every_cut(case, kind, loop, HOLDER, how))

    for stage in stages:
        check_ends(case, stage)
    # At least once in the block, if it stays there, and once when leaving it.
    assert len(stages) >= (1 if leaves_after == 0 else 2)
    if (kind, loop, how) == WAYS[0]:
        check_all_were_tried(case, Cut(HOLDER, 0), stages)


@ways
@given(name=st.sampled_from(["everybody reads", "somebody leaves"]))
def test_a_request_of_that_task_ends_with_it(
    kind: Kind, loop: str, how: How, name: str
) -> None:
    case = attrs.evolve(SCENES[name], inside=reader(Manner.COMPLETE, 4), leaves_after=0)

    stages = list(play_every_cut(case, kind, loop, HOLDER, how))

    for stage in stages:
        check_ends(case, stage)
        assert stage.engine is not None
        if stage.case.cuts[0].at > 0:
            # The readers came after it, and the first request is its own.
            assert len(stage.ends) >= 1
    assert len(stages) >= 3


def check_ends(case: Case, stage: Stage) -> None:
    """Everybody has everything or was told of the end, where nothing else can be."""
    if not case.faults and case.buffer > 2:
        check_closed(stage)


# --- the end of the block -----------------------------------------------------------


@loops
@backends
@given(name=scenes)
def test_the_block_may_be_left_at_every_step(loop: str, kind: Kind, name: str) -> None:
    case = SCENES[name]
    steps = play(case, kind, loop).backend.begun
    assert steps >= 4

    for step in range(steps):
        check_ends(case, play(attrs.evolve(case, leaves_at_step=step), kind, loop))


@loops
@given(name=scenes)
def test_the_block_may_be_left_after_every_suspension(loop: str, name: str) -> None:
    case = SCENES[name]
    closed = []
    for after in range(MOST):
        stage = play(attrs.evolve(case, leaves_after=after), InTask, loop)
        check_ends(case, stage)
        errors = [seen.error for seen in stage.hall.seen]
        closed.append(sum(isinstance(error, EngineClosed) for error in errors))
        if not closed[-1]:
            break
    # From nobody has anything to everybody has everything.
    assert len(case.script) == closed[0]
    assert 0 == closed[-1]
