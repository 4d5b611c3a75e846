"""Small runs in which one thing happens: second turns, preemptions, names, cuts."""

import attrs

from fairq import Capacity, Policy, PrefixCache
from property_tests.prefixes.driver import Driver
from property_tests.prefixes.programs import STEP, Ask, Commit, Program, Setting
from property_tests.programs import Plan

SMALL = Capacity(
    blocks=12, block_size=2, max_sequences=4, tokens_per_step=40, prefix_cache=True
)


EVERYBODY = PrefixCache(everybody=True)
ANSWERED: Program = [Plan(), Commit(token=2)]


def enters(driver: Driver) -> dict[int, int]:
    """What those who enter with the outstanding plan have found."""
    plan = driver.outstanding
    assert plan is not None
    return {enter.request_id: enter.cached for enter in plan.enter}


def test_a_second_turn_finds_the_first_with_its_answer() -> None:
    """Five tokens asked, four answered (the last is never computed), one added."""
    driver = Driver(Setting(SMALL, Policy()))
    driver.play([Ask("a", 1, 5, (), 4), *ANSWERED * 4])

    driver.play([Ask("a", 1, 5, (2, 2, 2, 2, 3), 1), Plan()])

    assert {1: 8} == enters(driver)


def test_the_last_token_of_a_full_hit_is_computed_again() -> None:
    driver = Driver(Setting(SMALL, Policy()))
    driver.play([Ask("a", 1, 8, (), 1), *STEP])

    driver.play([Ask("a", 1, 8, (), 1), Plan()])

    assert {1: 6} == enters(driver)


def test_who_was_preempted_goes_on_from_what_is_still_there() -> None:
    """Two grow until the pool is full; who is thrown out loses one block to the other.

    Its prompt and its outputs up to there are found when it is back.
    """
    driver = Driver(Setting(SMALL, Policy(), misled=True))
    driver.play([Ask("a", 1, 4, (), 12), Ask("b", 2, 4, (), 16)])
    while not driver.preempted:
        driver.play(STEP)
    before = driver.kernel.snapshot()
    assert 0 < before.waiting
    victim = next(each for each in before.requests if not each.blocks)
    known = victim.prompt_tokens + victim.output_tokens

    while not enters_now(driver):
        driver.play([Commit(), Plan()])

    found = enters(driver)[victim.request_id]
    assert 0 < found < known
    assert driver.kernel.snapshot().recomputed_tokens <= known - found
    driver.finish()
    assert known - found - 1 == driver.kernel.snapshot().recomputed_tokens


def test_a_leader_that_waits_again_is_not_in_the_run_that_it_computed() -> None:
    """It was thrown out, and does not fit; somebody else enters with its prefix."""
    driver = Driver(Setting(SMALL, Policy(prefix_cache=EVERYBODY), misled=True))
    driver.play([Ask("a", 1, 4, (), 12), Ask("b", 2, 4, (), 16)])
    while not driver.preempted:
        driver.play(STEP)
    (victim,) = (r for r in driver.kernel.snapshot().requests if not r.blocks)
    stem = driver.batch.requests[victim.request_id].prompt[0]

    driver.play([Ask("c", stem, 4, (3,), 1), Plan()])

    assert driver.outstanding is not None
    assert {2: 4} == enters(driver)
    assert () == driver.outstanding.shared


def enters_now(driver: Driver) -> bool:
    return driver.outstanding is not None and bool(driver.outstanding.enter)


def test_what_tenants_share_is_not_what_their_names_are() -> None:
    """Tenant and group of one name, and the same text under two adapters."""
    cache = PrefixCache(groups={"a": "c", "b": "c"})
    large = attrs.evolve(SMALL, blocks=40)
    driver = Driver(Setting(large, Policy(prefix_cache=cache)))
    driver.play([Ask("a", 1, 6, (), 1), *STEP])

    asks = [Ask("b", 1, 6, (2,), 1), Ask("c", 1, 6, (2,), 1)]
    driver.play([*asks, Ask("b", 1, 6, (2,), 1, "lora"), Plan()])

    assert {1: 6, 2: 0, 3: 0} == enters(driver)


def test_a_prefix_that_is_cut_while_it_is_computed_is_not_ready_for_that() -> None:
    """Six of eight tokens are computed when somebody enters who has these six."""
    tight = attrs.evolve(SMALL, blocks=60, block_size=1, tokens_per_step=6)
    driver = Driver(Setting(tight, Policy()))
    driver.play([Ask("a", 1, 8, (), 1), *STEP])

    driver.play([Ask("a", 1, 6, (2,), 1), Ask("a", 1, 8, (3,), 1), Plan()])
    assert {1: 6} == enters(driver)
    driver.play([Commit(), Plan()])
    assert {2: 8} == enters(driver)


def test_adapters_do_not_share() -> None:
    large = attrs.evolve(SMALL, blocks=40)
    driver = Driver(Setting(large, Policy())).play([Ask("a", 1, 6, (), 1), *STEP])

    others = [Ask("a", 1, 6, (2,), 1, "lora"), Ask("a", 1, 6, (2,), 1)]
    driver.play([*others, Plan()])

    assert {1: 0, 2: 6} == enters(driver)


def test_what_is_split_once_is_not_split_again_for_who_enters_later() -> None:
    """Two are held back for a leader, and there is room for one of them."""
    narrow = attrs.evolve(SMALL, blocks=60, max_sequences=2)
    driver = Driver(Setting(narrow, Policy(prefix_cache=EVERYBODY)))
    driver.play([Ask("a", 1, 6, (), 20), Ask("b", 1, 6, (2,), 1)])
    driver.play([Ask("c", 1, 6, (3,), 1), *STEP, *STEP])
    assert driver.shares == 1

    driver.play([Plan()])
    assert {2: 6} == enters(driver)
    driver.play([Commit()])
    assert driver.shares == 1
