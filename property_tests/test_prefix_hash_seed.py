"""With the prefix cache too, the same calls give the same plans under any hash seed."""

from hypothesis import Phase, given, settings

from property_tests.effort import profile
from property_tests.hash_seeds import SEEDS, told
from property_tests.prefixes.driver import Driver
from property_tests.prefixes.programs import (
    Program,
    Setting,
    programs,
    settings_of_kernels,
)

RUNS = {"dev": 20, "ci": 100}
ELSEWHERE = """
import pickle, sys
from property_tests.prefixes.driver import Driver
for setting, program in pickle.load(sys.stdin.buffer):
    driver = Driver(setting).play(program).finish()
    print(driver.log, driver.kernel.snapshot())
print(hash("fairq"))
"""
Run = tuple[Setting, Program]


def drawn(count: int) -> list[Run]:
    """So many runs, the same ones each time."""
    seen: list[Run] = []

    @settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate]
    )
    @given(setting=settings_of_kernels, program=programs)
    def collect(setting: Setting, program: Program) -> None:
        seen.append((setting, program))

    collect()
    return seen


def test_runs_that_share_are_the_same_under_any_hash_seed() -> None:
    runs = drawn(RUNS.get(profile(), RUNS["ci"]))
    drivers = [Driver(setting).play(program).finish() for setting, program in runs]
    here = [f"{each.log} {each.kernel.snapshot()}" for each in drivers]

    seeds = SEEDS.get(profile(), SEEDS["ci"])
    texts, hashes = zip(*(told(ELSEWHERE, seed, runs) for seed in seeds), strict=True)

    # Or nothing was compared, or nothing was shared.
    assert len({*hashes, hash("fairq")}) > 1
    assert sum(each.hits > 0 for each in drivers) > len(runs) // 4
    assert ["\n".join(here)] * len(seeds) == list(texts)
