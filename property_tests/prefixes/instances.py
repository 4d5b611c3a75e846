"""Runs that somebody constructed, because few that are made up get there."""

from typing import Final

from fairq import (
    Admission,
    Capacity,
    LinearCost,
    Order,
    Policy,
    PrefixCache,
)
from property_tests.prefixes.driver import Driver
from property_tests.prefixes.programs import STEP, WEIGHTS, Ask, Setting
from property_tests.programs import Cancel

EVERYBODY: Final = PrefixCache(everybody=True)

# --- what leaders get back ----------------------------------------------------------

GROUPS: Final = 8
LENGTH: Final = 8
"""Tokens of a prefix, and of what others are served meanwhile."""
POOL: Final = 6_000


def paid_back_at_once() -> Driver:
    """One tenant computes prefixes for many others, who all enter much later.

    They are held back while a prefix is computed, and then do not fit, because somebody
    holds most of the pool; shorter requests of theirs go ahead, so that everybody is
    served the same all the time. When the pool is free they take over their parts, and
    the leader is as far behind everybody as these are together.
    """
    capacity = Capacity(
        blocks=POOL,
        block_size=1,
        max_sequences=200,
        tokens_per_step=500,
        prefix_cache=True,
    )
    policy = Policy(
        cost=LinearCost(output=2**-10),
        order=Order.SHORTEST,
        admission=Admission.RESERVE,
        prefix_cache=EVERYBODY,
    )
    driver = Driver(Setting(capacity, policy))
    driver.play([Ask("hog", 1, LENGTH, (), POOL - 500 - LENGTH), *STEP])
    # These never fit while others are there: everybody waits for something to the end.
    members = [f"t{i}" for i in range(GROUPS)]
    names = ["leader", *members]
    driver.play([Ask(name, 2, LENGTH, (), POOL - 100) for name in names])
    driver.play(
        [Ask(name, 10 + i, LENGTH, (3,), 600) for i, name in enumerate(members)]
    )
    for group in range(GROUPS):
        driver.play([Ask("leader", 10 + group, LENGTH, (), 40)])
        own = 100 * (group + 1)
        fillers = [Ask(name, own + i, LENGTH, (), 1) for i, name in enumerate(members)]
        driver.play([*fillers, *STEP])
    return driver.play([Cancel(0), *STEP * 3])


def taken_over_dearly() -> Driver:
    """Half a prefix that was cheap for who computed it is on a tenant of no weight."""
    capacity = Capacity(
        blocks=500,
        block_size=1,
        max_sequences=2,
        tokens_per_step=200,
        prefix_cache=True,
    )
    policy = Policy(
        weights={"light": 1 / 16},
        cost=LinearCost(output=2**-10),
        prefix_cache=EVERYBODY,
    )
    driver = Driver(Setting(capacity, policy))
    driver.play([Ask("heavy", 1, 64, (), 20), Ask("light", 1, 64, (2,), 20), *STEP])
    driver.play([Ask("heavy", 3, 1, (), 1), Ask("light", 3, 1, (), 1)])
    return driver.play(STEP)


# --- what is found costs something --------------------------------------------------


def long_finds() -> Driver:
    """A text grew by a little in every turn; now somebody finds all of it, at a price.

    So nobody was ever charged as much for what it computed as is for what is found.
    """
    capacity = Capacity(
        blocks=200,
        block_size=10,
        max_sequences=1,
        tokens_per_step=300,
        prefix_cache=True,
    )
    policy = Policy(cost=LinearCost(cached=1.0), prefix_cache=EVERYBODY)
    driver = Driver(Setting(capacity, policy))
    for turn in range(1, 13):
        driver.play([Ask("author", 1, 10 * turn, (2,), 1), *STEP])
    driver.play([Ask("finder", 1, 120, (3,), 1)] * 3)
    return driver.play([Ask("other", 7, 1, (), 1)] * 20).play(STEP * 20)


# --- a leader that has found --------------------------------------------------------


def leader_that_has_found() -> Driver:
    """It found its prefix; then it was preempted, the prefix evicted, and it leads."""
    capacity = Capacity(
        blocks=17,
        block_size=1,
        max_sequences=3,
        tokens_per_step=40,
        prefix_cache=True,
    )
    policy = Policy(weights=WEIGHTS, prefix_cache=EVERYBODY)
    driver = Driver(Setting(capacity, policy, misled=True))
    driver.play([Ask("a", 1, 8, (), 1), *STEP * 2])
    driver.play([Ask("b", 7, 2, (), 15), *STEP])
    driver.play([Ask("c", 1, 8, (2,) * 4, 4), *STEP * 2])
    assert driver.hits == LENGTH
    while not driver.preempted:
        driver.play(STEP)
    return driver.play([Ask("a", 1, 8, (2,) * 4, 1)])
