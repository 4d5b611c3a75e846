"""Who pays for a shared prefix: each position once, and the gap stays bounded.

That the accounts agree with the kernel, position by position, and that no gap exceeds
the bound is checked after every call of every run in ``test_prefix_sharing`` too; here
are the settings in which a lot is shared, and runs that somebody constructed.
"""

import attrs
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import Capacity, Fcfs, LinearCost, Policy, PrefixCache, Vtc
from fairq.cost import SCALE
from property_tests.effort import part
from property_tests.prefixes.driver import Driver
from property_tests.prefixes.instances import (
    GROUPS,
    LENGTH,
    leader_that_has_found,
    long_finds,
    paid_back_at_once,
    taken_over_dearly,
)
from property_tests.prefixes.programs import (
    WEIGHTS,
    Program,
    Setting,
    crowds,
    flat,
    rounds,
)

ROOMY = Capacity(
    blocks=60, block_size=1, max_sequences=4, tokens_per_step=12, prefix_cache=True
)
together = st.lists(st.one_of(crowds(), rounds), min_size=6, max_size=16).map(flat)


def sharing(slack: float, cached: float, weights: dict[str, float]) -> Setting:
    """A kernel in which tenants compute prefixes for one another."""
    policy = Policy(
        weights=weights,
        cost=LinearCost(cached=cached),
        discipline=Vtc(slack=slack),
        prefix_cache=PrefixCache(everybody=True),
    )
    return Setting(ROOMY, policy)


prices = st.sampled_from([0.0, 0.25, 1.0])


@part(2)
@given(
    setting=st.builds(
        sharing,
        st.sampled_from([0.0, 0.0, 10.0]),
        prices,
        st.sampled_from([WEIGHTS, {}]),
    ),
    program=together,
)
def test_the_gap_stays_in_its_bound_when_charges_are_split(
    setting: Setting, program: Program
) -> None:
    """The driver compares after every call, with a meter that moves shares."""
    driver = Driver(setting).play(program).finish()

    event("shares" if driver.shares else "no shares")


@part(3)
@given(cached=prices, program=together)
def test_what_is_found_is_charged_once_at_its_own_price(
    cached: float, program: Program
) -> None:
    """Nobody is lifted where there is no gate: counters are charges and no more."""
    setting = sharing(0.0, cached, WEIGHTS)
    policy = attrs.evolve(setting.policy, discipline=Fcfs())
    driver = Driver(attrs.evolve(setting, policy=policy))

    for op in program:
        driver.do(op)
        compare_counters(driver)


def compare_counters(driver: Driver) -> None:
    """Counters are what is on the accounts, and what is prepaid of prompts."""
    cost, accounts = driver.cost, driver.accounts
    for tenant in driver.kernel.snapshot().tenants:
        name = tenant.tenant
        prompt = accounts.computed[name] + accounts.prepaid(driver.live, name)
        charged = cost.service(prompt, accounts.outputs[name])
        charged += cost.cached * accounts.found[name]
        # Prices are whole numbers, so a weight that divides them leaves no rest.
        assert charged / tenant.weight * SCALE == tenant.counter * SCALE


# --- constructed --------------------------------------------------------------------


def test_a_leader_that_is_paid_back_late_falls_behind_by_the_stated_term() -> None:
    """2 (Q + O + P) would not be enough: it needs what the leader fell behind, S."""
    driver = paid_back_at_once()
    counters = driver.kernel._life.counters
    bound = driver.kernel.snapshot().gap_bound
    assert bound is not None

    without = 2 * (counters.largest_commitment + counters.largest_prepaid) / SCALE
    assert driver.shares == GROUPS
    assert GROUPS * LENGTH / 2 == counters.largest_shortfall / SCALE
    assert without < driver.largest_gap <= bound


def test_a_part_that_somebody_takes_over_is_part_of_what_it_is_committed_to() -> None:
    """Of little weight, it bears with half a prefix more than all that was computed."""
    driver = taken_over_dearly()
    bound = driver.kernel.snapshot().gap_bound
    assert bound is not None

    assert driver.shares == 1
    assert 32 * 16 < driver.largest_gap <= bound


def test_what_somebody_finds_at_a_price_is_part_of_what_it_is_committed_to() -> None:
    """It is charged at once, and may be more than anybody ever computed at once."""
    driver = long_finds()

    assert driver.largest_gap > 12 * LENGTH
    assert driver.largest_gap <= (driver.kernel.snapshot().gap_bound or 0)


def test_nobody_gets_back_what_it_did_not_spend() -> None:
    """It found its prefix; preempted, it computed it for others, and was not charged.

    The accounts raise when a share is more than was computed.
    """
    driver = leader_that_has_found().finish()

    assert driver.shares == 1
