"""The same weights and requests here and in transformers' continuous batching."""

import gc
import importlib
import time
import traceback
from typing import Any

import torch

from fairq import Kernel, Policy, StepPlan
from fairq_backends.llama import Model, random_model
from fairq_backends.torch_paged import TorchPagedBackend
from tests.benchmarks.gpu.bench import Bench
from tests.benchmarks.gpu.peer import generated, peer_of
from tests.benchmarks.gpu.serving import prompts, submit

__all__ = ["measure"]

Texts = list[list[int]]


def measure(bench: Bench) -> None:
    """Output tokens a second of each, after one round that warms up."""
    load, config = bench.sizes.load, bench.sizes.small_model
    model = random_model(config, dtype=bench.dtype, device=bench.device, scale=0.02)
    texts = prompts(load.requests, load.prompt, config.vocab_size)
    made = load.requests * load.output
    rates = {}
    firsts: dict[str, Texts] = {}
    for mode in ("fast", "exact"):
        took, firsts[mode] = _ours(bench, model, mode, texts)
        rates[mode] = made / took
        bench.say(f"fairq, {mode}", rates[mode], "tokens/s", note=_what(bench))
    _free(bench)
    try:
        took, theirs = _theirs(bench, model, texts)
    except Exception as error:  # noqa: BLE001  # not our code: what it says is a result
        traceback.print_exc()
        note = f"raised {type(error).__name__}: {error}"
        bench.say("transformers, generate_batch", None, "tokens/s", note=note)
        bench.say("fairq, fast, ahead of it", None, "times", at_least=1, note=note)
        return
    name = importlib.metadata.version("transformers")
    same = _alike(firsts["fast"], theirs)
    note = f"transformers {name}; of our first tokens it has {same:.0%}"
    bench.say("transformers, generate_batch", made / took, "tokens/s", note=note)
    ahead = rates["fast"] * took / made
    bench.say("fairq, fast, ahead of it", ahead, "times", at_least=1)


def _what(bench: Bench) -> str:
    load = bench.sizes.load
    return f"{load.requests} requests of {load.prompt} + {load.output} tokens"


def _free(bench: Bench) -> None:
    gc.collect()
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()


def _ours(bench: Bench, model: Model, mode: str, texts: Texts) -> tuple[float, Texts]:
    """Seconds of the second round, and its tokens."""
    load = bench.sizes.load
    blocks = load.requests * ((load.prompt + load.output) // 16 + 2)
    backend = TorchPagedBackend(
        model=model,
        mode=mode,
        device=bench.device.type,
        blocks=blocks,
        max_sequences=load.requests,
        tokens_per_step=8192,
    )
    kernel = Kernel(backend.capacity, Policy())
    _served(kernel, backend, texts, load.output)
    begun = time.perf_counter()
    tokens = _served(kernel, backend, texts, load.output)
    took = time.perf_counter() - begun
    backend.close()
    return took, tokens


def _served(
    kernel: Kernel, backend: TorchPagedBackend, texts: Texts, output: int
) -> Texts:
    names = submit(kernel, texts, output)
    tokens: dict[int, list[int]] = {name: [] for name in names}
    while isinstance(plan := kernel.plan(), StepPlan):
        result = backend.step(plan)
        kernel.commit(result)
        for name, token in result.tokens.items():
            tokens[name].append(token)
    return list(tokens.values())


def _theirs(bench: Bench, model: Model, texts: Texts) -> tuple[float, Texts]:
    peer: Any = peer_of(model, bench.device)
    small = bench.device.type != "cuda"
    try:
        generated(peer, texts, bench.sizes.load.output, small=small)
        return generated(peer, texts, bench.sizes.load.output, small=small)
    finally:
        peer.destroy_cached_continuous_batching_manager()


def _alike(ours: Texts, theirs: Texts) -> float:
    """Share of requests whose first token is the same: whether the weights are."""
    pairs = zip(ours, theirs, strict=True)
    same = [mine[:1] == other[:1] for mine, other in pairs]
    return sum(same) / len(same)
