"""How long the kernel takes: ``python tests/benchmarks/kernel.py [--json OUT]``.

Each row is the median of 5 runs, and the p99 of all steps of those runs. The backend
is replaced by a dictionary of tokens made beforehand, so what is timed is ``plan`` and
``commit`` and nothing else.
"""

import argparse
import gc
import json
import platform
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import attrs

from fairq import (
    BlockId,
    Capacity,
    Kernel,
    Policy,
    Request,
    StepPlan,
    StepResult,
    TokenIds,
)
from fairq.kernel._prefixes import PrefixTree

RUNS = 5
BLOCK_SIZE = 16


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table, times in microseconds."""

    name: str
    running: int
    waiting: int
    tenants: int
    us_per_step: float
    us_per_request_step: float | None
    us_p99: float


def clock() -> int:
    return time.perf_counter_ns()


def summary(runs: list[list[int]]) -> tuple[float, float]:
    """Median of the runs' means, and p99 over everything, in microseconds."""
    means = [statistics.fmean(run) / 1e3 for run in runs]
    pooled = sorted(value for run in runs for value in run)
    return statistics.median(means), pooled[int(len(pooled) * 0.99)] / 1e3


def request(tenant: int, prompt: TokenIds, max_tokens: int) -> Request:
    return Request(tenant=f"tenant-{tenant}", prompt=prompt, max_tokens=max_tokens)


def answer(plan: StepPlan) -> StepResult:
    tokens = dict.fromkeys(plan.decodes, 7)
    tokens.update({chunk.request_id: 7 for chunk in plan.chunks if chunk.samples})
    return StepResult(plan.step_id, tokens)


def step(kernel: Kernel) -> StepPlan:
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    kernel.commit(answer(plan))
    return plan


def standing(running: int, tenants: int = 64, steps: int = 4096) -> Kernel:
    """A kernel in which ``running`` requests decode, out of step with one another."""
    capacity = Capacity(
        blocks=running * (steps // BLOCK_SIZE + 4),
        block_size=BLOCK_SIZE,
        max_sequences=running,
        tokens_per_step=8192,
        prefix_cache=True,
    )
    kernel = Kernel(capacity, Policy(max_waiting=None, max_waiting_per_tenant=None))
    for number in range(running):
        prompt = TokenIds([number] * (1 + number % BLOCK_SIZE))
        kernel.submit(request(number % tenants, prompt, steps))
    while kernel.snapshot().waiting:
        step(kernel)
    for _ in range(2 * BLOCK_SIZE):
        step(kernel)
    return kernel


def time_steps(kernel: Kernel, steps: int) -> list[int]:
    """Time ``plan`` and ``commit`` of each step, without making the tokens."""
    times = []
    for _ in range(steps):
        begin = clock()
        plan = kernel.plan()
        middle = clock()
        assert isinstance(plan, StepPlan)
        result = answer(plan)
        resume = clock()
        kernel.commit(result)
        times.append(clock() - resume + middle - begin)
    return times


def decode_rows() -> Iterable[Row]:
    for running in (256, 1024, 4096):
        kernel = standing(running)
        gc.collect()
        gc.freeze()  # what stands is not garbage; a server would do the same
        runs = [time_steps(kernel, 160) for _ in range(RUNS)]
        gc.unfreeze()
        median, p99 = summary(runs)
        yield Row(
            name="plan + commit, everybody decodes",
            running=running,
            waiting=0,
            tenants=64,
            us_per_step=median,
            us_per_request_step=median / running,
            us_p99=p99,
        )


def queue_row(waiting: int, tenants: int) -> Row:
    """A full batch of 256, and a queue behind it from which one is admitted a step."""
    capacity = Capacity(
        blocks=100_000, max_sequences=256, tokens_per_step=8192, prefix_cache=True
    )
    policy = Policy(max_waiting=None, max_waiting_per_tenant=None)
    runs = []
    for _ in range(RUNS):
        kernel = Kernel(capacity, policy)
        prompt = TokenIds(range(16))  # one block, which is never shared whole
        for number in range(waiting + 256):
            # Ends spread over time: in most steps somebody leaves and enters.
            kernel.submit(request(number % tenants, prompt, 128 + number % 256))
        for _ in range(300):
            step(kernel)
        for number in range(waiting - kernel.snapshot().waiting):
            kernel.submit(request(number % tenants, prompt, 128 + number % 256))
        gc.collect()
        gc.freeze()
        runs.append(time_steps(kernel, 200 if waiting > 1000 else 60))
        gc.unfreeze()
    median, p99 = summary(runs)
    return Row(
        name="plan + commit, behind a queue",
        running=256,
        waiting=waiting,
        tenants=tenants,
        us_per_step=median,
        us_per_request_step=median / 256,
        us_p99=p99,
    )


def timed(calls: int, call: Callable[[int], object]) -> list[int]:
    times = []
    for number in range(calls):
        begin = clock()
        call(number)
        times.append(clock() - begin)
    return times


def admit_row(name: str, prompt: Callable[[int], TokenIds]) -> Row:
    """Submit, admit, compute and end prompts of 512 tokens, 16 of them a step."""
    group = 16

    def admit(kernel: Kernel, number: int) -> None:
        for place in range(number * group, number * group + group):
            kernel.submit(request(place % 64, prompts[place], 1))
        plan = kernel.plan()
        assert isinstance(plan, StepPlan)
        kernel.commit(answer(plan))

    capacity = Capacity(
        blocks=1000, max_sequences=256, tokens_per_step=8192, prefix_cache=True
    )
    runs = []
    for _ in range(RUNS):
        kernel = Kernel(capacity)
        prompts = [prompt(place) for place in range(100 * group)]
        times = timed(100, partial(admit, kernel))
        runs.append([total // group for total in times])
    median, p99 = summary(runs)
    return Row(
        name=name,
        running=0,
        waiting=group,
        tenants=64,
        us_per_step=median * group,
        us_per_request_step=median,
        us_p99=p99 * group,
    )


def admit_rows() -> Iterable[Row]:
    yield admit_row(
        "submit, admit and end, new prompt of 512",
        lambda place: TokenIds([place] * 512),
    )
    # The pool holds them all: the same 64 prompts come again and again.
    yield admit_row(
        "submit, admit and end, cached one of 512",
        lambda place: TokenIds([place % 16] * 512),
    )


def prefixes(count: int, blocks: int) -> tuple[PrefixTree, list[bytes]]:
    """A tree of prefixes that have a system prompt in common, and their texts."""
    tree, texts = PrefixTree(BLOCK_SIZE), []
    system = [7] * (BLOCK_SIZE * blocks // 2)
    for number in range(count):
        own = [(number * 31 + n // 64) % 32_000 + 8 for n in range(len(system))]
        texts.append(TokenIds([*system, *own]).raw)
    for number, raw in enumerate(texts):
        leaf = tree.lock(tree.find(tree.root("all"), raw, 0))
        table = [BlockId(number * blocks + n) for n in range(blocks)]
        tree.insert(leaf, raw, table)
        tree.unlock(leaf)
    return tree, texts


def match_row(count: int = 10_000, blocks: int = 128) -> Row:
    """Find prompts of 2,048 tokens among so many cached ones."""
    tree, texts = prefixes(count, blocks)
    # What is searched ends inside a block of the text it has most in common with.
    wanted = [raw[: -4 * BLOCK_SIZE] + bytes(4 * BLOCK_SIZE) for raw in texts]
    gc.collect()
    gc.freeze()

    def find(run: int, number: int) -> None:
        raw = wanted[(97 * number + run) % count]
        hit = tree.find(tree.root("all"), raw, blocks)
        assert hit.depth == blocks - 1

    runs = [timed(1000, partial(find, run)) for run in range(RUNS)]
    gc.unfreeze()
    median, p99 = summary(runs)
    return Row(
        name="match a prompt of 2,048, 10,000 cached",
        running=0,
        waiting=0,
        tenants=1,
        us_per_step=median,
        us_per_request_step=None,
        us_p99=p99,
    )


def cancel_row() -> Row:
    """Cancel requests that wait among 100,000."""
    capacity = Capacity(blocks=1000)
    policy = Policy(max_waiting=None, max_waiting_per_tenant=None)
    prompt = TokenIds(range(16))
    kernel = Kernel(capacity, policy)
    ids = [kernel.submit(request(n % 10_000, prompt, 16)) for n in range(100_000)]
    gc.collect()
    gc.freeze()

    def cancel(run: int, number: int) -> None:
        kernel.cancel(ids[97 * number + run])

    runs = [timed(1000, partial(cancel, run)) for run in range(RUNS)]
    gc.unfreeze()
    median, p99 = summary(runs)
    return Row(
        name="cancel one that waits",
        running=0,
        waiting=100_000,
        tenants=10_000,
        us_per_step=median,
        us_per_request_step=None,
        us_p99=p99,
    )


def queued_bytes() -> float:
    """Memory of one queued request beyond its packed prompt."""
    count = 20_000
    prompt = TokenIds(range(16))
    kernel = Kernel(
        Capacity(blocks=1000), Policy(max_waiting=None, max_waiting_per_tenant=None)
    )
    tracemalloc.start()
    for number in range(count):
        kernel.submit(request(number % 100, prompt, 16))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / count


def rows() -> Iterable[Row]:
    yield from decode_rows()
    yield from admit_rows()
    yield match_row()
    yield queue_row(100, 10)
    yield queue_row(100_000, 10_000)
    yield cancel_row()


def show(row: Row) -> None:
    each = row.us_per_request_step
    print(
        f"{row.name:<42}{row.running:>8}{row.waiting:>9}{row.tenants:>9}"
        f"{row.us_per_step:>12.2f}{row.us_p99:>12.2f}"
        f"{'' if each is None else format(each, '.3f'):>15}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, medians of {RUNS}, microseconds")
    print(
        f"{'':<42}{'running':>8}{'waiting':>9}{'tenants':>9}"
        f"{'per step':>12}{'p99':>12}{'per request':>15}"
    )
    done = []
    for row in rows():
        show(row)
        done.append(attrs.asdict(row))
    memory = queued_bytes()
    print(f"{'bytes per queued request, w/o prompt':<38}{memory:>38.0f}")
    if options.json is not None:
        document = {"rows": done, "bytes_per_queued_request": memory}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
