"""Runs that a fresh interpreter repeats under another hash seed."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SEEDS = {"dev": ("4242",), "ci": ("0", "1", "2", "4242")}


def told(program: str, seed: str, runs: object) -> tuple[str, int]:
    """What a fresh interpreter says of the runs, and what it hashes a string to.

    Args:
        program: Reads the runs, pickled, from its input; prints what it saw, and
            the hash in the last line.
        seed: PYTHONHASHSEED.
        runs: What can be pickled.
    """
    done = subprocess.run(  # noqa: S603  # our own code, no shell
        [sys.executable, "-c", program],
        input=pickle.dumps(runs),
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stderr.decode()
    text, _, hashed = done.stdout.decode().strip().rpartition("\n")
    return text, int(hashed)
