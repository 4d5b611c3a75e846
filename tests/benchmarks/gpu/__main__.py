"""Measures the executor on a GPU: ``python tests/benchmarks/gpu/__main__.py``.

Less than 8 minutes on one H200; from the root of the repository ``python -m
tests.benchmarks.gpu`` is the same. ``--json OUT`` writes all rows, ``--only NAME,...``
chooses, ``--quick`` takes fewer sizes. ``--rehearse`` runs every line of it at tiny
sizes on a CPU, in Triton's interpreter: its numbers mean nothing.

The exit code is 0 if nothing raised, 1 if something did, 2 if there is no GPU.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUDGET = 465.0
"""Seconds: under 8 minutes, with some for the start."""


def arguments() -> argparse.Namespace:
    about = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog="tests/benchmarks/gpu", description=about)
    parser.add_argument("--json", type=Path, help="write all rows to this file")
    parser.add_argument("--only", default="", metavar="NAME,...")
    parser.add_argument("--quick", action="store_true", help="fewer sizes")
    parser.add_argument("--rehearse", action="store_true", help="tiny, on a CPU")
    parser.add_argument("--budget", type=float, default=BUDGET, metavar="SECONDS")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    if asked.rehearse:  # before Triton is imported: it decides once
        os.environ["TRITON_INTERPRET"] = "1"
    size = "rehearsal" if asked.rehearse else "quick" if asked.quick else "full"
    from tests.benchmarks.gpu.measurements import chosen

    names = chosen(asked.only)
    if asked.child:
        from tests.benchmarks.gpu.child import run_child

        return run_child(asked.child, names, size)
    from tests.benchmarks.gpu.parent import Parent

    return Parent(Path(__file__), size, asked.budget, asked.json).run(names)


if __name__ == "__main__":
    # Run as a file, the first entry is this folder: its modules would hide others.
    sys.path[0] = str(ROOT)
    sys.exit(main())
