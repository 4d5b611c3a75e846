"""How fast the executor runs a real model here: ``python tests/benchmarks/model.py``.

32 requests of 128 prompt tokens and 64 output tokens, all there at once, on
SmolLM2-135M (downloaded on the first run), in both modes and two types. Each row is the
median of ``--runs`` runs, the quickest beside it. Random prompts: nothing is shared.
The yardstick is vLLM's CPU build 0.32 with the same weights and load on two cores of
such a machine: 335 output tokens per second in float32, 572 in bfloat16.

Also: what the processor multiplies at best, because that bounds everything; the share
of the time that the kernel takes; and the slowest step. ``--json OUT`` writes the rows.
"""

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import attrs
import torch

from fairq import Kernel, Policy, Request, StepPlan
from fairq_backends.llama import Model, load_model
from fairq_backends.torch_paged import TorchPagedBackend

REQUESTS = 32
PROMPT = 128
OUTPUT = 64
YARDSTICK = {"float32": 335.0, "bfloat16": 572.0}
"""Output tokens per second of vLLM 0.32 on two cores."""
TARGET = {"fast": 1.0, "exact": 0.6}
"""Share of the yardstick to reach."""


@attrs.frozen(kw_only=True)
class Row:
    """One line of the table."""

    mode: str
    dtype: str
    tokens_per_s: float
    best: float
    prefill_s: float
    decode_ms: float
    """Median of the steps in which everybody decodes."""
    scheduler_share: float
    yardstick: float


@attrs.frozen(kw_only=True)
class Run:
    """One pass over all requests, times in seconds."""

    total_s: float
    prefill_s: float
    kernel_s: float
    decode_s: float


def prompts(vocabulary: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, vocabulary, (REQUESTS, PROMPT), generator=generator)
    return [row.tolist() for row in drawn]


def serve(backend: TorchPagedBackend, texts: list[list[int]]) -> Run:
    """All requests through a kernel of their own."""
    kernel = Kernel(backend.capacity, Policy())
    for number, text in enumerate(texts):
        sampling = {"ignore_eos": True}
        tenant = f"tenant {number % 4}"
        kernel.submit(
            Request(tenant=tenant, prompt=text, max_tokens=OUTPUT, sampling=sampling)
        )
    return drive(kernel, backend)


def drive(kernel: Kernel, backend: TorchPagedBackend) -> Run:
    decodes, prefill_s, kernel_s = [], 0.0, 0.0
    begun = before = time.perf_counter()
    while isinstance(plan := kernel.plan(), StepPlan):
        planned = time.perf_counter()
        result = backend.step(plan)
        stepped = time.perf_counter()
        kernel.commit(result)
        after = time.perf_counter()
        kernel_s += planned - before + after - stepped
        if plan.chunks:
            prefill_s += stepped - planned
        else:
            decodes.append(stepped - planned)
        before = after
    return Run(
        total_s=time.perf_counter() - begun,
        prefill_s=prefill_s,
        kernel_s=kernel_s,
        decode_s=statistics.median(decodes),
    )


def measure(model: Model, mode: str, dtype: str, runs: int) -> Row:
    texts = prompts(model.config.vocab_size)
    done = []
    for index in range(runs + 1):
        # The kernel's ids begin anew, so each run gets a backend of its own.
        backend = TorchPagedBackend(model=model, mode=mode, dtype=dtype, device="cpu")
        run = serve(backend, texts)
        backend.close()
        if index:  # the first warms caches and compiles oneDNN's kernels
            done.append(run)
    rates = [REQUESTS * OUTPUT / run.total_s for run in done]
    return Row(
        mode=mode,
        dtype=dtype,
        tokens_per_s=statistics.median(rates),
        best=max(rates),
        prefill_s=statistics.median(run.prefill_s for run in done),
        decode_ms=1000 * statistics.median(run.decode_s for run in done),
        scheduler_share=statistics.median(r.kernel_s / r.total_s for r in done),
        yardstick=YARDSTICK[dtype],
    )


def ceiling(dtype: torch.dtype) -> float:
    """GFLOP/s of a large product, the best of 20."""
    x, y = torch.ones(1024, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    best = float("inf")
    for _ in range(20):
        begun = time.perf_counter()
        torch.mm(x, y)
        best = min(best, time.perf_counter() - begun)
    return 2 * 1024**3 / best / 1e9


def show(rows: list[Row]) -> None:
    print(
        f"CPython {platform.python_version()}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads of {os.cpu_count()} cores, SmolLM2-135M, "
        f"{REQUESTS} requests of {PROMPT} + {OUTPUT} tokens"
    )
    for name in YARDSTICK:
        print(f"a large product in {name}: {ceiling(getattr(torch, name)):.0f} GFLOP/s")
    heads = "tokens/s", "best", "prefill s", "decode ms", "kernel %", "of vLLM", "goal"
    print(f"{'mode':<8}{'type':<10}" + "".join(f"{head:>11}" for head in heads))
    for row in rows:
        print(
            f"{row.mode:<8}{row.dtype:<10}{row.tokens_per_s:>11.0f}{row.best:>11.0f}"
            f"{row.prefill_s:>11.2f}{row.decode_ms:>11.1f}"
            f"{100 * row.scheduler_share:>11.2f}"
            f"{row.tokens_per_s / row.yardstick:>11.2f}{TARGET[row.mode]:>11.2f}"
        )


def main() -> None:
    about = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for dtype in YARDSTICK:
        model = load_model(arguments.model, dtype=getattr(torch, dtype))
        rows += [measure(model, mode, dtype, arguments.runs) for mode in TARGET]
    show(rows)
    if arguments.json:
        text = json.dumps([attrs.asdict(row) for row in rows], indent=2)
        arguments.json.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
