"""The kit finds each way in which a backend can be wrong, and says which it was."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from fairq import (
    Capacity,
    RequestId,
    StepPlan,
    StepResult,
)
from fairq.testing import check_backend
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench
from fairq.testing._backend._engine import Session
from fairq.testing._backend._host import ThreadHost
from fairq.testing._discipline import _obligations as of_disciplines
from fairq.testing._obligations import Obligation, ObligationBroken
from fairq.testing._transcript._play import check_scenario
from fairq_backends.simulated import SimulatedBackend
from tests.testing.backends import SMALL, Good, GoodCallable, GoodLoop, provoke
from tests.testing.bad_answers import BAD_ANSWERS, FloatTime, LosesOne, ServesTheGone
from tests.testing.bad_sharing import BAD_SHARING
from tests.testing.bad_states import (
    BAD_STATES,
    BlocksLoop,
    BySlot,
    EntersFirst,
    GrowsTwice,
    Hangs,
    HangsLoop,
    InOrder,
    KeepsHalf,
    Leaks,
    OffByOne,
    StaleTables,
    TooSmall,
)
from tests.testing.telling import expect_in_full, told

BAD = BAD_ANSWERS | BAD_STATES | BAD_SHARING

# --- good ones ------------------------------------------------------------------------


class Moody(Good):
    """Says something else each time, within the protocol."""

    spoken = 0

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        type(self).spoken += 1
        return (super().positions(id_, start, length) + self.spoken) % 997


class Stopping(Good):
    """Ends a sequence with the first token that 5 divides."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        stopped = tuple(id_ for id_, token in tokens.items() if token % 5 == 0)
        return StepResult(plan.step_id, tokens, stopped, elapsed_ns=10)


def simulated() -> SimulatedBackend:
    return SimulatedBackend(
        kv_tokens=80, block_size=4, max_sequences=5, tokens_per_step=16, strict=True
    )


@pytest.mark.parametrize("kind", [Good, GoodLoop, GoodCallable, Stopping])
def test_a_good_backend_passes_and_everything_was_checked(kind: type[Good]) -> None:
    report = check_backend(kind, provoke=provoke, examples=10)

    assert () == report.not_checked
    assert report.steps > 500
    assert report.preemptions > 0
    assert report.cached_tokens > 100
    assert kind.__name__ == report.name


def test_the_simulated_backend_passes() -> None:
    report = check_backend(simulated, examples=10)

    assert report.preemptions > 0


def test_tokens_that_are_not_reproducible_are_not_compared_if_one_says_so() -> None:
    report = check_backend(Moody, deterministic=False, provoke=provoke, examples=5)

    assert () == report.not_checked


@pytest.mark.parametrize(
    "capacity",
    [
        attrs.evolve(SMALL, blocks=6, block_size=1, max_sequences=2),
        Capacity(blocks=6, block_size=1, max_sequences=2, tokens_per_step=2),
        Capacity(blocks=3, block_size=16, max_sequences=1, tokens_per_step=5),
        Capacity(blocks=500, block_size=2, max_sequences=100, tokens_per_step=900),
    ],
)
def test_any_capacity_will_do(capacity: Capacity) -> None:
    assert check_backend(lambda: Good(capacity), examples=3).steps > 0


def test_a_capacity_of_one_is_checked_as_far_as_it_goes() -> None:
    one = {"blocks": 1, "block_size": 1, "max_sequences": 1, "tokens_per_step": 1}
    capacity = Capacity(**one, prefix_cache=True)

    report = check_backend(lambda: Good(capacity), provoke=provoke, examples=3)

    reasons = [each.partition(":")[0] for each in report.not_checked]
    assert ["chunks", "batch", "preempted", "shared"] == reasons


# --- bad ones -------------------------------------------------------------------------


def broken(factory: Callable[[], Good], **options: Any) -> ObligationBroken:  # noqa: ANN401  # those of check_backend
    return told(lambda: check_backend(factory, provoke=provoke, **options))


FOUND: dict[type[Good], ObligationBroken] = {}


def found(kind: type[Good]) -> ObligationBroken:
    """What is said of one of them; asked for more than once."""
    if kind not in FOUND:
        FOUND[kind] = broken(kind)
    return FOUND[kind]


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__)
def test_a_bad_backend_is_found_and_told_what_is_wrong(kind: type[Good]) -> None:
    expect_in_full(found(kind), kind, *BAD[kind])


def test_every_obligation_has_a_backend_that_breaks_it() -> None:
    elsewhere = [owed.SHAPE, owed.ENDS, owed.EXECUTED, owed.PROVOKED]
    broken_here = [obligation for obligation, _ in BAD.values()]
    assert [] == [o.name for o in owed.ALL if o not in [*broken_here, *elsewhere]]


@pytest.mark.parametrize("obligation", [*owed.ALL, *of_disciplines.ALL])
def test_the_guide_explains_every_obligation(obligation: Obligation) -> None:
    guide = Path(__file__).parents[2] / "docs" / "testing-your-backend.md"
    lines = guide.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("|")]
    names = [name.strip() for row in rows for name in row.split(",")]
    assert obligation.name in names


# --- what they are told ---------------------------------------------------------------


def story(error: ObligationBroken) -> str:
    """The scenario that a failure carries."""
    (note,) = [each for each in error.__notes__ if each.startswith("The run")]
    return note.partition("\n\n")[2]


@pytest.mark.parametrize("kind", [LosesOne, StaleTables, KeepsHalf, TooSmall])
def test_a_failure_carries_its_run_and_the_run_can_be_replayed(
    kind: type[Good],
) -> None:
    text = story(found(kind))

    assert text.startswith("# trial: ")
    assert "\nkernel blocks=" in text
    assert "submit tenant=" in text
    check_scenario(text)


def test_a_run_whose_slots_are_named_from_the_top_says_so() -> None:
    assert "\n# slots and blocks count down\n" in story(found(TooSmall))


@pytest.mark.parametrize("kind", [BySlot, GrowsTwice, KeepsHalf, ServesTheGone])
def test_a_long_run_gives_way_to_a_shorter_one_that_breaks_the_same(
    kind: type[Good], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairq.testing._backend._check.LONG", 10**6)
    long = broken(kind)

    assert long.obligation is found(kind).obligation
    assert len(story(found(kind)).splitlines()) < len(story(long).splitlines())


def test_a_long_run_stays_if_no_generated_one_breaks_the_same() -> None:
    assert found(OffByOne).obligation is owed.LEAVE_FIRST
    assert len(story(found(OffByOne)).splitlines()) > 60


def test_a_failure_says_where_the_first_wrong_token_came_from() -> None:
    said = str(found(InOrder))

    assert "; the first that differs is number 0, from step " in said


def test_an_error_of_the_backend_is_the_cause() -> None:
    assert isinstance(found(Leaks).__cause__, MemoryError)


def test_what_was_expected_and_what_came_can_be_asked() -> None:
    error = found(FloatTime)

    assert ("nanoseconds, >= 0", "0.25") == (error.expected, error.actual)
    assert error.obligation is owed.ELAPSED


# --- by generated runs alone ----------------------------------------------------------


@pytest.fixture
def no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairq.testing._backend._check.TRIALS", ())


@pytest.mark.usefixtures("no_trials")
@pytest.mark.parametrize("kind", [InOrder, EntersFirst, KeepsHalf, TooSmall])
def test_generated_runs_find_it_too_and_make_it_small(kind: type[Good]) -> None:
    text = story(broken(kind, loops=(), examples=60))

    assert text.count("submit tenant=") <= 4
    check_scenario(text)


class OnceOnly(Good):
    """Fails at its thousandth position, and never again."""

    count = 0

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        type(self).count += 1
        if type(self).count == 200:
            msg = "a bad moment"
            raise RuntimeError(msg)
        return super().positions(id_, start, length)


@pytest.mark.usefixtures("no_trials")
def test_what_goes_wrong_only_once_is_told_as_such() -> None:
    error = broken(OnceOnly, loops=(), examples=60)

    assert error.obligation is owed.REPEATED
    assert "a run that goes wrong goes wrong again" in str(error)


# --- time -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Hangs, HangsLoop, BlocksLoop])
def test_a_step_that_hangs_is_left_behind(kind: type[Good]) -> None:
    error = broken(kind, deadline_s=1.0)

    assert error.obligation is owed.ENDS
    assert "step 2 ends within 1 s" in str(error)


class HangsClosing(Good):
    """Waits for somebody else when it is closed."""

    def close(self) -> None:
        threading.Event().wait(20)


def test_a_close_that_hangs_is_left_behind() -> None:
    error = broken(HangsClosing, deadline_s=1.0)

    assert error.obligation is owed.ENDS
    assert "close() ends" in str(error)


class HangsOnTrio(GoodLoop):
    """Never comes back where it was not tried."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # as above
        if anyio.get_cancelled_exc_class().__module__.startswith("trio"):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(20)
        return await super().step(plan)


def test_an_engine_that_hangs_is_left_behind() -> None:
    error = broken(HangsOnTrio, deadline_s=1.0)

    assert error.obligation is owed.ENDS
    assert "an engine on trio goes on, or is left" in str(error)


def test_a_coroutine_may_be_made_for_the_other_loop() -> None:
    class OnlyTrio(GoodLoop):
        """Works with trio only."""

        async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # as above
            module = anyio.get_cancelled_exc_class().__module__
            assert module.startswith("trio"), module
            return await super().step(plan)

    report = check_backend(OnlyTrio, loops=["trio"], provoke=provoke, examples=3)

    assert () == report.not_checked


class TimesOut(Good):
    """Raises what looks like a deadline of the kit."""

    def fail(self, plan: StepPlan) -> None:
        self.fail_next = False
        raise TimeoutError(plan.step_id)

    def change(self, plan: StepPlan) -> None:
        if plan.step_id == 1:
            raise TimeoutError
        super().change(plan)


def test_a_timeout_of_the_backend_itself_is_an_error_like_others() -> None:
    error = broken(TimesOut, deadline_s=5.0)

    assert error.obligation is owed.EXECUTED
    assert "it raised TimeoutError" in str(error)


# --- the kit itself -------------------------------------------------------------------


def session() -> Session:
    host = ThreadHost()
    host.stop()
    bench = Bench(Good, "Good", SMALL, host, (), True, None, 1.0)  # noqa: FBT003  # as the kit makes it
    return Session(bench, "asyncio", leave=True)


LOGS = ["", "begin close end", "begin end close close", "close begin end", "begin end"]


@pytest.mark.parametrize("log", LOGS)
def test_an_engine_that_closes_at_the_wrong_time_would_be_seen(log: str) -> None:
    with pytest.raises(ObligationBroken, match="then close once"):
        session()._check_log(log.split())


def test_an_engine_that_closes_at_the_right_time_is_let_be() -> None:
    session()._check_log(["begin", "end", "begin", "end", "close"])


def test_no_loop_at_all_is_not_passed_over() -> None:
    report = check_backend(Good, provoke=provoke, loops=(), examples=1)

    assert ("served: no engine was run; loops is empty",) == report.not_checked
