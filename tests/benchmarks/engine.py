"""How many tokens the engine hands out: ``python tests/benchmarks/engine.py``.

Each row is the median of 5 runs in which 256 tasks read 500 tokens each from a backend
that costs nothing, and the p99 of the times between the steps of all runs. What is
timed is everything else: the kernel, the dispatch, and waking every reader for every
token. ``--json OUT`` writes the rows.
"""

import argparse
import gc
import json
import platform
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import anyio
import attrs

from fairq import Capacity, Engine, Request, StepPlan, StepResult, open_engine

RUNS = 5
READERS = 256
TOKENS = 500
TENANTS = 64
CAPACITY = Capacity(blocks=READERS * (TOKENS // 16 + 2), max_sequences=READERS)


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table, times in microseconds."""

    name: str
    running: int
    waiting: int
    tenants: int
    us_per_step: float
    us_per_request_step: float
    us_p99: float
    tokens_per_s: float


class Free:
    """Answers from a dictionary, and notes when each step began."""

    capacity = CAPACITY

    def __init__(self) -> None:
        self.begun: list[int] = []

    def answer(self, plan: StepPlan) -> StepResult:
        self.begun.append(time.perf_counter_ns())
        tokens = dict.fromkeys(plan.decodes, 7)
        tokens.update((chunk.request_id, 7) for chunk in plan.chunks if chunk.samples)
        return StepResult(plan.step_id, tokens)

    def close(self) -> None:
        """Nothing to release."""


class FreeSync(Free):
    """Runs in the engine's thread."""

    def step(self, plan: StepPlan) -> StepResult:
        return self.answer(plan)


class FreeAsync(Free):
    """Is awaited, and never suspends."""

    async def step(self, plan: StepPlan) -> StepResult:
        return self.answer(plan)


async def read(engine: Engine, number: int) -> None:
    request = Request(tenant=f"t{number % TENANTS}", prompt=[1], max_tokens=TOKENS)
    async with engine.stream(request) as tokens:
        async for _ in tokens:
            pass


async def run(backend: FreeSync | FreeAsync) -> float:
    """Read everything once; the seconds it took."""
    async with open_engine(backend) as engine:
        begin = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for number in range(READERS):
                tasks.start_soon(read, engine, number)
        seconds = time.perf_counter() - begin
        expected, delivered = READERS * TOKENS, engine.statistics().tokens
        assert expected == delivered
    return seconds


def row(kind: type[FreeSync] | type[FreeAsync], loop: str) -> Row:
    seconds, gaps, steps = [], [], 0
    for _ in range(RUNS):
        backend = kind()
        gc.collect()
        seconds.append(anyio.run(run, backend, backend=loop))
        steps = len(backend.begun)
        gaps += [
            after - before
            for before, after in zip(backend.begun, backend.begun[1:], strict=False)
        ]
    median = statistics.median(seconds)
    return Row(
        name=f"streams, {'thread' if kind is FreeSync else 'coroutine'}, {loop}",
        running=READERS,
        waiting=0,
        tenants=TENANTS,
        us_per_step=median / steps * 1e6,
        us_per_request_step=median / (READERS * TOKENS) * 1e6,
        us_p99=sorted(gaps)[int(len(gaps) * 0.99)] / 1e3,
        tokens_per_s=READERS * TOKENS / median,
    )


def rows() -> Iterable[Row]:
    for loop in ("asyncio", "trio"):
        yield row(FreeSync, loop)
        yield row(FreeAsync, loop)


def show(row: Row) -> None:
    print(
        f"{row.name:<30}{row.running:>8}{row.waiting:>8}{row.tenants:>8}"
        f"{row.us_per_step:>11.1f}{row.us_p99:>11.1f}"
        f"{row.us_per_request_step:>13.3f}{row.tokens_per_s:>12,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, medians of {RUNS}, microseconds")
    print(
        f"{'':<30}{'running':>8}{'waiting':>8}{'tenants':>8}"
        f"{'per step':>11}{'p99':>11}{'per request':>13}{'tokens/s':>12}"
    )
    done = []
    for each in rows():
        show(each)
        done.append(attrs.asdict(each))
    if options.json is not None:
        options.json.write_text(json.dumps({"rows": done}, indent=1) + "\n")


if __name__ == "__main__":
    main()
