"""The same calls give the same plans in another process, under another hash seed."""

from hypothesis import Phase, given, settings

from fairq.testing import Journal, journals
from property_tests.effort import profile
from property_tests.hash_seeds import SEEDS, told

RUNS = {"dev": 30, "ci": 100}
ELSEWHERE = """
import pickle, sys
from fairq.testing import RecordingKernel, replay
for journal in pickle.load(sys.stdin.buffer):
    kernel = RecordingKernel(journal.capacity, journal.policy)
    replay(journal, kernel)
    sys.stdout.write(kernel.journal.scenario())
    sys.stdout.write(repr(kernel.snapshot()))
print()
print(hash("fairq"))
"""


def drawn(count: int) -> list[Journal]:
    """So many runs, the same ones each time."""
    seen: list[Journal] = []

    @settings(
        max_examples=count, derandomize=True, database=None, phases=[Phase.generate]
    )
    @given(journals())
    def collect(journal: Journal) -> None:
        seen.append(journal)

    collect()
    return seen


def test_generated_runs_are_the_same_under_any_hash_seed() -> None:
    runs = drawn(RUNS.get(profile(), RUNS["ci"]))
    assert sum(len(run.plans) for run in runs) > len(runs)

    seeds = SEEDS.get(profile(), SEEDS["ci"])
    texts, hashes = zip(*(told(ELSEWHERE, seed, runs) for seed in seeds), strict=True)

    # Or nothing was compared.
    assert len(seeds) == len(dict.fromkeys(hashes))
    assert [texts[0]] * len(seeds) == list(texts)
    for run in runs:
        assert run.scenario() in texts[0]
