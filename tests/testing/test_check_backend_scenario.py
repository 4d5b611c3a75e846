"""A run that went wrong goes wrong again with the backend, until that is mended."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from fairq import Capacity, Enter, Request, RequestId, StepPlan, UsageError
from fairq.testing import ObligationBroken, check_backend, check_scenario
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._scenario import DOWN, Heading
from fairq.testing._transcript._play import record
from tests.testing.backends import SMALL, Good, GoodLoop, provoke
from tests.testing.bad_answers import (
    AnswersForEver,
    CountsSteps,
    FloatTime,
    LosesOne,
    OneMapping,
    PopsDecodes,
    PopsSampling,
    ServesTheGone,
)
from tests.testing.bad_sharing import (
    BeginsAtZero,
    ClearsAllItGets,
    ClearsWhatFailed,
    CountsHolders,
    SharesForEver,
)
from tests.testing.bad_states import (
    BySlot,
    CannotCloseInTheMiddle,
    ClosesItself,
    EmptiesOnce,
    GrowsTwice,
    HangsLoop,
    InOrder,
    KeepsHalf,
    Leaks,
    LosesPrefilling,
    OneLoop,
    Seeded,
    StaleTables,
    StartsAtZero,
    TooSmall,
)
from tests.testing.telling import told

ANSWERS: list[type[Good]] = [
    *(AnswersForEver, CountsSteps, FloatTime, LosesOne, OneMapping, PopsDecodes),
    ServesTheGone,
]
STATES: list[type[Good]] = [
    *(BySlot, CannotCloseInTheMiddle, ClosesItself, EmptiesOnce, GrowsTwice, InOrder),
    *(KeepsHalf, Leaks, LosesPrefilling, Seeded, StaleTables, StartsAtZero, TooSmall),
    *(BeginsAtZero, ClearsWhatFailed, CountsHolders, SharesForEver),
]


def broken(factory: Callable[[], Good], **options: Any) -> ObligationBroken:  # noqa: ANN401  # those of check_backend
    return told(lambda: check_backend(factory, **options))


def note(error: ObligationBroken) -> str:
    """What a failure says of its run."""
    (text,) = [each for each in error.__notes__ if each.startswith("The run")]
    return text


def story(error: ObligationBroken) -> str:
    """The scenario that a failure carries."""
    return note(error).partition("\n\n")[2]


# --- again ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*ANSWERS, *STATES], ids=lambda kind: kind.__name__)
def test_a_saved_run_fails_until_the_backend_is_mended(
    kind: type[Good], tmp_path: Path
) -> None:
    error = broken(kind, provoke=provoke)
    path = tmp_path / "bug.txt"
    path.write_text(story(error))

    again = broken(kind, provoke=provoke, scenario=path)

    assert error.obligation is again.obligation
    report = check_backend(Good, provoke=provoke, scenario=path)
    assert ("all else: only the scenario was played",) == report.not_checked
    assert report.steps > 0


def test_a_step_that_hangs_hangs_again() -> None:
    error = broken(HangsLoop, deadline_s=0.5)

    again = broken(HangsLoop, deadline_s=0.5, scenario=story(error))

    assert owed.ENDS is error.obligation is again.obligation
    assert check_backend(GoodLoop, scenario=story(error)).steps > 0


def test_a_run_ends_with_the_plan_that_went_wrong() -> None:
    text = story(broken(FloatTime))

    assert re.search(r"\n\nplan\n----\nstep 0: .*\n  enter 0 with [^-]*\Z", text)
    check_scenario(text)


def test_a_provocation_that_does_nothing_is_found_again() -> None:
    def nothing(_: object) -> None: ...

    error = broken(Good, provoke=nothing)

    assert story(error).endswith("fail\n----\nnothing\n")
    again = broken(Good, provoke=nothing, scenario=story(error))
    assert owed.PROVOKED is error.obligation is again.obligation
    assert check_backend(Good, provoke=provoke, scenario=story(error)).steps > 0


def test_the_same_obligation_is_named_again_and_the_run_is_in_the_note() -> None:
    error = broken(StaleTables)

    again = broken(StaleTables, scenario=story(error))

    assert str(error) == str(again)
    assert story(error) == story(again)


def test_slots_and_blocks_are_numbered_as_they_were() -> None:
    text = story(broken(TooSmall))

    assert f"\n{DOWN}\n" in text
    forwards = text.replace(f"{DOWN}\n", "")
    assert check_backend(TooSmall, scenario=forwards).steps > 0


# --- what is written by hand ----------------------------------------------------------

BY_HAND = """\
kernel blocks=20 block_size=4 sequences=5 tokens=16
submit tenant=a prompt=3 max_tokens=6 count=3
submit tenant=b prompt=99 max_tokens=3
cancel id=77
plan
cancel id=1
commit
commit step=0
step
plan
fail
run
"""


def test_commands_alone_are_enough() -> None:
    report = check_backend(Good, provoke=provoke, scenario=BY_HAND)

    assert len(record(BY_HAND).plans) == report.steps - steps_alone(BY_HAND)


def steps_alone(text: str) -> int:
    """Steps of one request by itself; all in the text are alike."""
    first = "\n".join([*text.splitlines()[:1], "submit prompt=3 max_tokens=6", "run"])
    return len(record(f"{first}\n").plans)


def test_a_difference_by_hand_is_one_of_the_batch() -> None:
    quiet = BY_HAND.replace("plan\nfail\n", "")

    assert owed.BATCHED is broken(InOrder, scenario=quiet).obligation
    assert owed.FAILED is broken(InOrder, provoke=provoke, scenario=BY_HAND).obligation


class Brief(Good):
    """Ends everybody with the first token."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> Any:  # noqa: ANN401  # as Good
        return attrs.evolve(super().answer(plan, tokens), stopped=tuple(tokens))


def test_a_run_may_end_earlier_than_it_is_written() -> None:
    report = check_backend(Brief, provoke=provoke, scenario=BY_HAND)

    assert 2 == report.steps


def test_a_run_may_end_later_than_it_is_written() -> None:
    text = (
        f"{BY_HAND.splitlines()[0]}\nsubmit\nplan\ncommit stop=0\nplan\n"
        "submit\nplan\ncommit\n"
    )

    assert check_backend(Good, scenario=text).steps > 2


SHARING = """\
# trial: shared
kernel blocks=20 block_size=4 sequences=5 tokens=16 sharing=yes max_pinned_blocks=2
submit tenant=a prompt=9 max_tokens=2
run
pin tenant=a prompt=9
pin tenant=a prompt=9
submit tenant=a prompt=9 max_tokens=2
submit tenant=a prompt=9 max_tokens=2 adapter=french
run
unpin tenant=a prompt=9
"""


def test_a_run_by_hand_may_share_and_pin() -> None:
    report = check_backend(Good, scenario=SHARING)

    # The adapter has a cache of its own.
    assert 8 == report.cached_tokens
    assert owed.SHARED is broken(ClearsAllItGets, scenario=SHARING).obligation


def test_a_run_that_shares_needs_a_backend_that_can() -> None:
    unshared = attrs.evolve(SMALL, prefix_cache=False)

    with pytest.raises(UsageError, match="a kernel that fits into the Capacity"):
        check_backend(lambda: Good(unshared), scenario=SHARING)


def test_sampling_is_not_in_a_run_and_that_is_said() -> None:
    asked = st.builds(
        Request,
        tenant=st.just("a"),
        prompt=st.just([1, 2]),
        max_tokens=st.just(2),
        sampling=st.builds(lambda: {"seed": 1}),
    )
    text = story(broken(PopsSampling, requests=asked))

    report = check_backend(PopsSampling, scenario=text)

    said = "sampling: the scenario is without what the requests had"
    assert said in report.not_checked


# --- the call -------------------------------------------------------------------------


def make() -> Good:
    return FloatTime()


CALLS: dict[str, Callable[[], object]] = {
    'check_backend(FloatTime, scenario=Path("bug.txt"))': (
        lambda: check_backend(FloatTime)
    ),
    'check_backend(make, provoke=provoke, scenario=Path("bug.txt"))': (
        lambda: check_backend(make, provoke=provoke, examples=3)
    ),
    "check_backend(factory, deterministic=False, loops=['trio'], deadline_s=9.5, "
    'scenario=Path("bug.txt"))': lambda: check_backend(
        lambda: FloatTime(),  # noqa: PLW0108  # one without a name
        deterministic=False,
        loops=["trio"],
        deadline_s=9.5,
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_call_that_plays_it_again_is_said(call: str) -> None:
    error = told(CALLS[call])

    said = f"The run. Save it as bug.txt, and this plays it again:\n    {call}\n\n"
    assert note(error).startswith(said)


def test_what_to_do_names_the_call() -> None:
    class NeverEnters(Good):
        """Cannot do anything."""

        def enter(self, enter: Enter) -> None:
            raise NotImplementedError(enter.slot)

    error = broken(NeverEnters)

    assert error.obligation is owed.EXECUTED
    assert 'check_backend(MyBackend, scenario=Path("bug.txt"))' in str(error)


def test_an_engine_has_no_run_that_could_be_played() -> None:
    assert not hasattr(broken(OneLoop), "__notes__")


# --- what is refused ------------------------------------------------------------------

BIG = Capacity(blocks=21, block_size=4, max_sequences=5, tokens_per_step=16)
KERNEL = BY_HAND.splitlines()[0]
REFUSED = {
    "": "scenario must be a file, or text with commands; got ''.",
    f"{KERNEL}\n{KERNEL}\n": "scenario must have one kernel; got 2.",
    f"{KERNEL}\nsubmit\nplan\nfail\n": (
        "expected provoke for a scenario in which steps fail; got None."
    ),
    KERNEL.replace("20", "21") + "\n": (
        f"scenario must have a kernel that fits into the {SMALL} of Good; got {BIG}."
    ),
    f"# trial: ful\n{KERNEL}\n": (
        "the trial of a scenario must be one of executed, repeated, closed, chunks, "
        "leave first, batch, drained, preempted, cancelled, full, reused, answered, "
        "failed, shared; got 'ful'. Did you mean 'full'?"
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_played_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_backend(Good, scenario=text)
    assert f"check_backend: {REFUSED[text]}" == str(caught.value)


def test_a_line_that_cannot_be_read_is_named() -> None:
    with pytest.raises(UsageError, match=r"line 2: expected a command"):
        check_backend(Good, scenario=f"{KERNEL}\nsumbit\n")


def test_a_file_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        check_backend(Good, scenario=Path("nowhere.txt"))


def test_a_heading_is_a_comment_for_everybody_else() -> None:
    heading = Heading(trial=owed.LEAVE_FIRST, mirrored=True, sampling=True)

    assert all(line.startswith("# ") for line in str(heading).splitlines())
    assert record(BY_HAND) == record(f"{heading}{BY_HAND}")
