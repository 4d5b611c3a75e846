"""How long a replay takes: ``python tests/benchmarks/replay.py [--million]``.

The bundled trace (median of 5), and synthetic traces of growing length at a load that
the machine can just serve: time is to grow with the steps, and memory with the records.
"""

import argparse
import json
import platform
import statistics
import time
import tracemalloc
from pathlib import Path

import attrs

from fairq import Policy
from fairq.sim import Job, Run, Trace, bundled_trace, simulate
from fairq_backends.simulated import SimulatedBackend

RUNS = 5
POLICY = Policy(max_waiting=None, max_waiting_per_tenant=None)


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table."""

    name: str
    requests: int
    steps: int
    seconds: float
    us_per_step: float
    peak_mib: float | None
    """Beyond the trace itself; None where it was not measured (measuring is slow)."""


def replay(trace: Trace) -> tuple[float, Run]:
    begin = time.perf_counter()
    run = simulate(trace, SimulatedBackend(), POLICY)
    return time.perf_counter() - begin, run


def row(name: str, seconds: float, run: Run, peak_mib: float | None = None) -> Row:
    steps = run.totals.steps
    assert steps is not None
    return Row(
        name=name,
        requests=len(run.records),
        steps=steps,
        seconds=seconds,
        us_per_step=seconds * 1e6 / steps,
        peak_mib=peak_mib,
    )


def arena() -> Row:
    runs = [replay(bundled_trace()) for _ in range(RUNS)]
    return row("arena", statistics.median(seconds for seconds, _ in runs), runs[0][1])


def synthetic(count: int) -> Trace:
    """20 requests a second of 100 tenants, lengths from 50 to 250."""
    jobs = (
        Job(f"tenant-{n * 7 % 100}", n / 20, 50 + n * 13 % 200, 50 + n * 29 % 200)
        for n in range(count)
    )
    return Trace(f"synthetic-{count}", tuple(jobs))


def scale(count: int) -> Row:
    trace = synthetic(count)
    if count > 10_000:
        return row("synthetic", *replay(trace))
    tracemalloc.start()
    replay(trace)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return row("synthetic", *replay(trace), peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--million", action="store_true", help="minutes more")
    options = parser.parse_args()
    counts = [1_000, 10_000, 100_000, *([1_000_000] if options.million else [])]
    print(f"CPython {platform.python_version()}, simulated h100-llama3-8b")
    print(
        f"{'':<12}{'requests':>10}{'steps':>10}{'seconds':>10}{'us/step':>9}{'MiB':>7}"
    )
    rows = []
    for each in [arena(), *map(scale, counts)]:
        peak = "" if each.peak_mib is None else f"{each.peak_mib:.1f}"
        print(
            f"{each.name:<12}{each.requests:>10,}{each.steps:>10,}"
            f"{each.seconds:>10.2f}{each.us_per_step:>9.1f}{peak:>7}"
        )
        rows.append(attrs.asdict(each))
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
