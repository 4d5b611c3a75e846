"""Every order of calls in a few small worlds; and that this finds what is wrong."""

import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq.testing import play
from property_tests.effort import part, profile
from property_tests.record import RECORD, World
from property_tests.worlds.bugs import BUGS, FULL
from property_tests.worlds.catalogue import CI, DEEP, DEV
from property_tests.worlds.explorer import Explored, Explorer, Fault
from property_tests.worlds.key import Key
from property_tests.worlds.twins import TwinFinder, Twins
from property_tests.worlds.world import SmallWorld

WORLDS = {"dev": DEV, "ci": CI, "deep": DEEP}
A_MILLION = 10**6
MOST = 20_000
"""A wrong kernel may have states without end."""


def tell(line: str) -> None:
    """Print at once, past what captures the output of tests."""
    stream = sys.__stderr__
    if stream is not None:
        stream.write(f"\n  {line}")
        stream.flush()


def explore(world: SmallWorld) -> Explored:
    explored = Explorer(world, tell=tell).explore()
    RECORD.worlds.append(World(world.title(), explored.states, explored.depth))
    sys.stdout.write(
        f"{world.title()}: {explored.states} states, depth {explored.depth}, "
        f"{explored.calls} calls, at most {explored.longest} steps to the end, "
        f"{explored.preempting} plans preempt, {explored.closest:.0%} of the bound, "
        f"{explored.seconds:.1f} s\n"
    )
    return explored


# --- nothing is wrong ---------------------------------------------------------------


@pytest.mark.timeout(4 * 3600)  # the deep worlds have a million states
def test_in_no_state_of_any_small_world_is_anything_wrong_or_stuck() -> None:
    found = [explore(world) for world in WORLDS[profile()]]

    assert [] == [str(each.fault) for each in found if each.fault is not None]
    # Else some of the worlds are not what they are for.
    assert any(each.preempting for each in found)
    assert any(each.closest > 0.5 for each in found)
    if profile() == "deep":
        assert sum(each.states for each in found) >= A_MILLION


# --- bugs are found -----------------------------------------------------------------


@cache
def hunt(name: str) -> Fault:
    bug = BUGS[name]
    explorer = Explorer(bug.world, most=MOST, refusals=bug.refusals)
    with pytest.MonkeyPatch.context() as patch:
        bug.plant(patch)
        fault = explorer.explore().fault
    assert fault is not None
    return fault


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_by_a_shortest_path(name: str) -> None:
    fault = hunt(name)

    sys.stdout.write(f"{name}:\n{fault}\n\n")
    assert BUGS[name].shortest == len(fault.calls) - 1


@pytest.mark.parametrize("name", BUGS)
def test_the_path_to_a_bug_is_a_transcript_that_runs_once_it_is_mended(
    name: str,
) -> None:
    printed = play("\n".join(hunt(name).calls)).splitlines()

    assert [] == [line for line in printed if line.startswith(("error", "rejected"))]


def test_a_path_reads_like_what_somebody_would_try_by_hand() -> None:
    fault = hunt("the cancelled are kept")

    assert (
        "submit tenant=a prompt=2 max_tokens=2",
        "plan",
        "cancel id=0",
        "commit",
    ) == fault.calls[1:]


def test_a_kernel_that_is_stuck_is_found_even_where_each_state_looks_fine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Steps that compute nothing, to a model that does not mind."""
    monkeypatch.setattr("property_tests.models.BatchModel.check_plan", accept)
    BUGS["the pool is never filled"].plant(monkeypatch)

    fault = Explorer(FULL, checks=False, most=MOST).explore().fault

    assert fault is not None
    assert "It is never done: plan and commit cycle." == fault.error
    assert ("submit tenant=a prompt=2 max_tokens=2",) == fault.calls[1:]


def accept(_model: object, _plan: object) -> None:
    """Check nothing."""


# --- the key ------------------------------------------------------------------------


@cache
def twins() -> list[Twins]:
    """Pairs of states with equal keys; some of them where time is short."""
    pairs = []
    short = profile() == "dev"
    for world in DEV if short else CI:
        finder = TwinFinder(world, rate=8 if short else 2)
        finder.explore()
        pairs += [Twins(finder.nursery, one, other) for one, other in finder.pairs]
    return pairs


def test_states_with_equal_keys_answer_every_call_alike_and_have_equal_keys_again() -> (
    None
):
    """So whatever is done to both, they do alike: that is an induction."""
    key = Key()

    for pair in twins():
        assert pair.same(key)
        assert pair.choices() >= 0
        for which in range(pair.choices()):
            after = pair.do(which)
            assert after is not None
            assert after.same(key)


@part(2)
@given(
    which=st.integers(0, 10**6),
    choices=st.lists(st.integers(0, 60), min_size=1, max_size=20),
)
def test_states_with_equal_keys_do_alike_whatever_is_done(
    which: int, choices: list[int]
) -> None:
    pair = twins()[which % len(twins())]

    for choice in choices:
        count = pair.choices()
        if not count:
            break
        after = pair.do(choice % count)
        assert after is not None
        pair = after


TWO = (((1, 2),), ((1, 2),))
COARSE: dict[str, tuple[SmallWorld, int]] = {
    "requests": (SmallWorld(asks=TWO, blocks=3, cancels=0, stops=False), 1),
    "doomed": (SmallWorld(asks=TWO, blocks=3, cancels=1, stops=False), 1),
    "ahead": (SmallWorld(asks=TWO, blocks=3, cancels=1, stops=False), 1),
    "failures": (
        SmallWorld(
            asks=TWO, blocks=4, failures=2, max_failures=1, cancels=0, stops=False
        ),
        2,
    ),
    "rule": (
        SmallWorld(asks=(((1, 2), (1, 2)), ((1, 2),)), blocks=4, cancels=0),
        2,
    ),
    "counters": (
        SmallWorld(
            asks=(((2, 2), (1, 1)), ((1, 1),)),
            blocks=3,
            tokens=2,
            sequences=1,
            cancels=0,
        ),
        1,
    ),
    "arriving": (
        SmallWorld(
            asks=(((1, 1), (1, 1)), ((2, 1), (1, 1))),
            blocks=2,
            sequences=1,
            cancels=0,
            stops=False,
        ),
        1,
    ),
}
"""By part of the key, a world in which it matters, and after how many calls.

The others follow from these in worlds as small as that: without ``told_again``,
``positions``, ``order``, ``blocks``, ``room``, ``turns`` or ``draft`` no two states
more are equal; nobody can see whether tokens were ``collected``, nor, with so few
requests, who ``last_left``. They are there for kernels that are wrong, and for larger
worlds.
"""


@pytest.mark.parametrize("part_of_key", COARSE)
def test_a_key_without_a_part_that_matters_calls_states_equal_that_are_not(
    part_of_key: str,
) -> None:
    world, depth = COARSE[part_of_key]
    finder = TwinFinder(world, key=Key().without(part_of_key), full=Key(), checks=False)
    finder.explore()

    pairs = [Twins(finder.nursery, one, other) for one, other in finder.pairs]

    assert not all(pair.alike(depth) for pair in pairs)
