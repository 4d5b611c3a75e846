"""Tables and blocks: what no plan may ask for, and what debug mode finds beside."""

import attrs
import pytest

from fairq import BackendError, StepPlan
from tests.backends._plans import chunk, plan
from tests.backends.torch_paged._stage import PROMPT, decoded, entry, first, small

TEXT = tuple(range(20, 31))

SAID: dict[str, tuple[StepPlan, str]] = {
    "a block twice in a table": (
        plan(1, enter=[entry(1, TEXT, (5, 6, 5))], decodes=[0]),
        r"Request 1 needs a table without repetition; got \(5, 6, 5\)",
    ),
    "a block it has": (
        plan(1, grow=[(0, 1)], decodes=[0]),
        "Request 0 needs another block to grow; got 1 again",
    ),
    "two blocks at once": (
        plan(1, grow=[(0, 5), (0, 6)], decodes=[0]),
        "Request 0 grows by one block in a plan at most; got two",
    ),
    "a prompt beyond the tokens": (
        plan(
            1,
            enter=[attrs.evolve(entry(1, TEXT, (5, 6, 7)), prompt_length=12)],
            decodes=[0],
        ),
        r"Request 1 needs prompt_length in 1\.\.11; got 12",
    ),
    "no prompt": (
        plan(
            1,
            enter=[attrs.evolve(entry(1, TEXT, (5, 6, 7)), prompt_length=0)],
            decodes=[0],
        ),
        r"Request 1 needs prompt_length in 1\.\.11; got 0",
    ),
}


@pytest.mark.parametrize(("bad", "message"), SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize("debug", [False, True])
def test_a_plan_that_cannot_be_right_is_refused_by_name(
    bad: StepPlan, message: str, *, debug: bool
) -> None:
    backend, sound = small(debug=debug), small(debug=debug)
    first(backend), first(sound)

    with pytest.raises(BackendError, match=message):
        backend.step(bad)

    (expected,), (actual,) = decoded(sound, 2, 0), decoded(backend, 2, 0)
    assert expected.tolist() == actual.tolist()


HELD: dict[str, tuple[StepPlan, str]] = {
    "grow": (
        plan(2, grow=[(0, 6)], decodes=[0, 1]),
        r"Request 0 needs blocks of nobody; got \[6\]",
    ),
    "grow both": (
        plan(2, grow=[(0, 9), (1, 9)], decodes=[0, 1]),
        r"Request 1 needs blocks of nobody; got \[9\]",
    ),
    "enter": (
        plan(2, enter=[entry(2, TEXT, (9, 2, 7))], decodes=[0, 1]),
        r"Request 2 needs blocks of nobody; got \[2, 7\]",
    ),
    "enter both": (
        plan(
            2,
            enter=[entry(2, TEXT, (9, 10, 11)), entry(3, TEXT, (11, 12, 13))],
            decodes=[0, 1],
        ),
        r"Request 3 needs blocks of nobody; got \[11\]",
    ),
}


@pytest.mark.parametrize(("bad", "message"), HELD.values(), ids=HELD.keys())
def test_debug_mode_refuses_to_claim_what_somebody_holds(
    bad: StepPlan, message: str
) -> None:
    backend = small(debug=True)
    first(backend)
    made = entry(1, PROMPT, (5, 6, 7))
    backend.step(plan(1, enter=[made], chunks=[chunk(1, 0, 11)], decodes=[0]))

    with pytest.raises(BackendError, match=message):
        backend.step(bad)


def test_debug_mode_lets_a_plan_claim_what_leaves_in_it() -> None:
    backend = small(debug=True)
    first(backend)

    made = entry(1, TEXT, (2, 1, 0))
    backend.step(plan(1, leave=[0], enter=[made], chunks=[chunk(1, 0, 11)]))

    decoded(backend, 2, 1)


def test_debug_mode_refuses_a_decode_beyond_its_table() -> None:
    backend = small(debug=True)
    first(backend)  # 11 tokens, and room for 12
    decoded(backend, 1, 0)

    with pytest.raises(
        BackendError,
        match="Request 0 decodes position 12 and needs a block for it; its table has "
        "room for 12",
    ):
        decoded(backend, 2, 0)

    backend.step(plan(3, grow=[(0, 9)], decodes=[0]))
    for step_id in (4, 5, 6):
        decoded(backend, step_id, 0)
    with pytest.raises(BackendError, match="Request 0 decodes position 16"):
        decoded(backend, 7, 0)
