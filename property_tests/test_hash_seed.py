"""The same calls give the same plans in another process, under another hash seed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

from hypothesis import Phase, given, settings

from fairq.testing import Journal, journals
from property_tests.effort import profile

ROOT = Path(__file__).parents[1]
SEEDS = {"dev": ("0", "1", "4242"), "ci": ("0", "1", "2", "3", "4242")}
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


def told(seed: str, runs: list[Journal]) -> tuple[str, int]:
    """What a fresh interpreter says of the runs, and what it hashes a string to."""
    done = subprocess.run(  # noqa: S603  # our own code, no shell
        [sys.executable, "-c", ELSEWHERE],
        input=pickle.dumps(runs),
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr.decode()
    text, _, hashed = done.stdout.decode().strip().rpartition("\n")
    return text, int(hashed)


def test_generated_runs_are_the_same_under_any_hash_seed() -> None:
    runs = drawn(RUNS.get(profile(), RUNS["ci"]))
    assert sum(len(run.plans) for run in runs) > len(runs)

    seeds = SEEDS.get(profile(), SEEDS["ci"])
    texts, hashes = zip(*(told(seed, runs) for seed in seeds), strict=True)

    # Or nothing was compared.
    assert len(seeds) == len(dict.fromkeys(hashes))
    assert [texts[0]] * len(seeds) == list(texts)
    for run in runs:
        assert run.scenario() in texts[0]
