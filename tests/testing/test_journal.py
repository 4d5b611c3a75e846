"""Journals: every call is noted, as it was, and can be made again."""

import pickle
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import pytest

from fairq import (
    Events,
    FairqError,
    Idle,
    Kernel,
    Policy,
    RequestId,
    StepId,
    StepPlan,
    StepResult,
    TokenIds,
    UsageError,
)
from fairq.testing import (
    Cancel,
    Commit,
    Fail,
    Journal,
    Plan,
    Raised,
    RecordingKernel,
    Submit,
    Witness,
    check_scenario,
    play,
    record,
    replay,
)
from tests.testing.recording import ROOM, busy, planned, request


def pickled(journal: Journal) -> Journal:
    copy = pickle.loads(pickle.dumps(journal))  # noqa: S301  # our own bytes
    assert isinstance(copy, Journal)
    return copy


# --- noting ---------------------------------------------------------------------------


def test_a_recording_kernel_is_a_kernel_and_does_the_same() -> None:
    kernel, plain = RecordingKernel(ROOM, Policy()), Kernel(ROOM, Policy())
    assert isinstance(kernel, Kernel)
    one, other = Witness(ROOM), Witness(ROOM)
    for _ in range(3):
        assert plain.submit(request()) == kernel.submit(request())
    while isinstance(plan := kernel.plan(), StepPlan):
        same = plain.plan()
        assert isinstance(same, StepPlan)
        assert repr(same) == repr(plan)
        assert plain.commit(other.step(same)) == kernel.commit(one.step(plan))
    assert plain.snapshot() == kernel.snapshot()


def test_calls_are_noted_in_order_with_their_outcomes() -> None:
    notes = busy().journal.calls
    kinds = [Submit, Plan, Plan, Commit, Submit, Fail, Submit, Cancel, Plan, Commit]
    assert kinds == [type(noted.call) for noted in notes]
    assert RequestId(0) == notes[0].outcome
    assert isinstance(notes[1].outcome, StepPlan)
    assert Idle.AWAITING_RESULT is notes[2].outcome
    assert isinstance(notes[5].outcome, Events)
    assert Plan(9) == notes[8].call
    assert Submit("a", TokenIds([1, 2, 3]), 2, 7) == notes[6].call
    assert Cancel(RequestId(1)) == notes[7].call
    assert Fail(StepId(0)) == notes[5].call


def test_errors_are_noted_and_still_raised() -> None:
    _, _, _, wrong, refused, *_ = busy().journal.calls
    assert isinstance(wrong.outcome, Raised)
    assert ("UsageError", None) == (wrong.outcome.error, wrong.outcome.retryable)
    assert isinstance(refused.outcome, Raised)
    assert ("RequestRejected", False) == (
        refused.outcome.error,
        refused.outcome.retryable,
    )


def test_a_bug_of_the_kernel_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Kernel, now_ns: int = 0) -> StepPlan:
        del self, now_ns
        msg = "no\nsuch thing"
        raise KeyError(msg)

    kernel = RecordingKernel(ROOM)
    monkeypatch.setattr(Kernel, "plan", broken)
    with pytest.raises(KeyError):
        kernel.plan()
    (noted,) = kernel.journal.calls
    assert isinstance(noted.outcome, Raised)
    assert "KeyError" == noted.outcome.error
    assert "raised KeyError: 'no\\nsuch thing'" in kernel.journal.scenario()
    assert kernel.journal.calls == replay(kernel.journal, kernel).journal.calls[:1]  # type: ignore[attr-defined]  # it is the one that was passed


TYPES: dict[str, Callable[[Any], object]] = {
    "submit": lambda kernel: kernel.submit("hello"),
    "submit at": lambda kernel: kernel.submit(request(), 0.5),
    "cancel": lambda kernel: kernel.cancel("0"),
    "plan": lambda kernel: kernel.plan(now_ns=None),
    "commit": lambda kernel: kernel.commit({}),
    "commit for": lambda kernel: kernel.commit(StepResult("x", {})),  # type: ignore[arg-type]  # wrong types are the test
    "commit list": lambda kernel: kernel.commit(StepResult(StepId(0), [5])),  # type: ignore[arg-type]  # as above
    "commit half": lambda kernel: kernel.commit(
        StepResult(StepId(0), {RequestId(0): 0.5})  # type: ignore[dict-item]  # as above
    ),
    "commit stop": lambda kernel: kernel.commit(
        StepResult(StepId(0), {RequestId(0): 5}, [RequestId(0)])  # type: ignore[arg-type]  # as above
    ),
    "commit yes": lambda kernel: kernel.commit(
        StepResult(StepId(0), {RequestId(0): 5}, (True,))  # type: ignore[arg-type]  # as above
    ),
    "commit name": lambda kernel: kernel.commit(StepResult(StepId(0), {"x": 5})),  # type: ignore[dict-item]  # as above
    "fail": lambda kernel: kernel.fail("x"),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_call_with_a_wrong_type_is_refused_and_not_noted(name: str) -> None:
    kernel, _ = planned()
    before = kernel.journal
    with pytest.raises(FairqError):
        TYPES[name](kernel)
    assert before == kernel.journal


def test_keys_that_equal_a_number_are_noted_as_that_number() -> None:
    kernel, plan = planned()
    tokens: Mapping[Any, int] = {0.0: True}
    kernel.commit(StepResult(plan.step_id, tokens))
    assert Commit(StepId(0), ((RequestId(0), 1),)) == kernel.journal.calls[-1].call
    replay(kernel.journal)


def test_what_is_noted_does_not_follow_the_kernel() -> None:
    kernel, plan = planned()
    tokens = {RequestId(0): 5}
    kernel.commit(StepResult(plan.step_id, tokens))
    second = kernel.plan()
    assert isinstance(second, StepPlan)
    before = repr(kernel.journal.calls)
    tokens[RequestId(0)] = 6
    kernel.commit(StepResult(second.step_id, MappingProxyType({RequestId(0): 7})))
    assert before == repr(kernel.journal.calls[:-1])
    assert pickle.dumps(kernel.journal)


def test_what_only_the_backend_understands_is_left_out() -> None:
    kernel = RecordingKernel(ROOM)
    secret = lambda: None  # noqa: E731  # something that cannot be pickled
    kernel.submit(attrs.evolve(request(), sampling=secret))
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    assert secret is plan.enter[0].sampling
    replay(pickled(kernel.journal))


def test_looking_is_not_noted() -> None:
    kernel, _ = planned()
    before = kernel.journal
    kernel.snapshot()
    kernel.check()
    repr(kernel)
    assert before == kernel.journal


def test_a_policy_that_asks_for_too_much_is_refused() -> None:
    with pytest.raises(UsageError):
        RecordingKernel(ROOM, Policy(max_sequences=3))


# --- the journal as a value -----------------------------------------------------------


def test_a_journal_is_frozen() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        busy().journal.calls = ()  # type: ignore[misc]  # it is frozen; that is the test


def test_a_journal_stays_as_it_was_when_the_kernel_goes_on() -> None:
    kernel = busy()
    journal = kernel.journal
    count = len(journal.calls)
    kernel.plan()
    assert count == len(journal.calls)


def test_a_pickled_journal_is_the_same() -> None:
    journal = busy().journal
    assert journal == pickled(journal)


def test_the_repr_of_a_journal_makes_it_again() -> None:
    journal = busy().journal
    assert journal == eval(repr(journal), {"record": record})  # noqa: S307  # our own text


def test_the_plans_of_a_journal_are_those_that_were_committed() -> None:
    assert [1] == [plan.step_id for plan in busy().journal.plans]


def test_steps_that_nobody_interfered_with_are_written_short() -> None:
    journal = record("kernel\nsubmit max_tokens=5\nstep count=3\ncancel id=0\nplan\n")
    assert journal.commands() == (
        "kernel blocks=64 block_size=4 sequences=8 tokens=64\n"
        "submit tenant=a prompt=4 max_tokens=5\n"
        "step count=3\ncancel id=0\nplan\n"
    )


# --- scenarios ------------------------------------------------------------------------


def test_a_scenario_has_a_block_for_each_call() -> None:
    kernel, plan = planned()
    kernel.commit(StepResult(plan.step_id, {RequestId(0): 5}, (RequestId(0),)))
    expected = """\
kernel blocks=8 block_size=4 sequences=2 tokens=16
----
<Kernel step 0: 0 waiting, 0 running, 8/8 blocks free>

submit tenant=a prompt=3 max_tokens=2
----
request 0

plan
----
step 0: 3 positions
  enter 0 with 3 tokens, slot 0, blocks 0
  chunk 0: 0 + 3 and sample

commit tokens=0:5 stop=0
----
tokens 0:5
finished 0: stop, 1 tokens
"""
    assert expected == kernel.journal.scenario()


def test_a_scenario_of_anything_can_be_played_and_checked() -> None:
    journal = busy().journal
    assert journal.scenario() == play(journal.scenario())
    assert journal == record(journal.scenario())
    check_scenario(journal.scenario())
