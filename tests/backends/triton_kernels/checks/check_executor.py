"""The whole executor on the kernels: the texts of plain Torch, in its own bits.

Steps are captured as CUDA graphs would be, by keeping the launches and making them
again; on a GPU the graphs are real.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import pytest
import torch
from torch import Tensor

from fairq import Kernel, Policy, Request, StepPlan
from fairq_backends.llama import LlamaConfig, random_model, rope_table
from fairq_backends.torch_paged import TorchPagedBackend
from fairq_backends.torch_paged._forward import Network
from fairq_backends.torch_paged._graphs import Graphs, cuda_capture
from fairq_backends.torch_paged._ops import Ops
from fairq_backends.torch_paged._shape import Shape
from fairq_backends.torch_paged._standing import Standing
from fairq_backends.torch_paged._triton_ops import TritonOps
from tests.backends.triton_kernels._world import DEVICE, INTERPRETED
from tests.backends.triton_kernels.checks.check_bits import sums_in_order

__all__ = ["sums_in_order"]

MODEL: Final = random_model(
    LlamaConfig(
        vocab_size=61,
        hidden_size=32,
        intermediate_size=48,
        layers=1,
        heads=6,
        kv_heads=2,
        head_dim=16,
        context_length=320,
    ),
    seed=4,
)
PROMPTS: Final = ([7, 3, 1], list(range(30)), [5])
ROOMY: Final[Mapping[str, int]] = {
    "blocks": 40,
    "block_size": 16,
    "max_sequences": 5,
    "tokens_per_step": 128,
}

Texts = dict[int, tuple[list[int], Tensor]]


def again(launch: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
    """A capture that replays by launching once more into the same memory."""
    if not INTERPRETED:
        return cuda_capture(launch)
    result = launch()
    return (lambda: result.copy_(launch())), result


class OnKernels(TorchPagedBackend):
    """Takes the kernels wherever the tests run."""

    graphs = False

    def _make_ops(self, config: LlamaConfig, mode: str, tables: Tensor) -> Ops:
        return TritonOps(
            shape=Shape.of(config, self.capacity.block_size),
            norm_eps=config.norm_eps,
            rope=rope_table(config, config.context_length, tables.device),
            tables=tables,
            exact=mode == "exact",
            prefill_rows=16,
        )

    def _replayed(self, network: Network, standing: Standing) -> Network | Graphs:
        if not self.graphs:
            return network
        assert isinstance(self._ops, TritonOps)
        return Graphs(network, self._ops, standing, again)


class Replayed(OnKernels):
    """Pure decode steps are captured and replayed."""

    graphs = True


def texts(
    kind: type[TorchPagedBackend],
    prompts: Sequence[list[int]] = PROMPTS,
    tokens: int = 3,
    **options: Any,  # noqa: ANN401  # those of the backend
) -> Texts:
    """What each prompt gets, with the logits of every token."""
    given: dict[str, Any] = {"device": str(DEVICE), **ROOMY, **options}
    backend = kind(model=MODEL, keep_logits=True, **given)
    kernel = Kernel(backend.capacity, Policy())
    names = [
        kernel.submit(Request(tenant="a", prompt=prompt, max_tokens=tokens))
        for prompt in prompts
    ]
    said: dict[int, list[int]] = {name: [] for name in names}
    logits: dict[int, list[Tensor]] = {name: [] for name in names}
    while isinstance(plan := kernel.plan(), StepPlan):
        result = backend.step(plan)
        for name, token in result.tokens.items():
            said[name].append(token)
            logits[name].append(backend.logits[name].cpu())
        kernel.commit(result)
    backend.close()
    return {name: (said[name], torch.stack(logits[name])) for name in names}


@cache
def alone() -> Texts:
    """Each prompt by itself, whole."""
    each = [texts(OnKernels, [prompt], mode="exact")[0] for prompt in PROMPTS]
    return dict(enumerate(each))


def same_text(expected: Texts, actual: Texts) -> None:
    for name, (tokens, logits) in expected.items():
        assert tokens == actual[name][0]
        torch.testing.assert_close(actual[name][1], logits, rtol=0, atol=2e-4)


def same_bits(expected: Texts, actual: Texts) -> None:
    for name, (tokens, logits) in expected.items():
        assert tokens == actual[name][0]
        assert torch.equal(logits, actual[name][1])


def check_exact_mode_says_what_torch_says() -> None:
    same_text(texts(TorchPagedBackend, device="cpu"), alone())


@pytest.mark.parametrize("kind", [OnKernels, Replayed])
def check_fast_mode_does_too(kind: type[TorchPagedBackend]) -> None:
    same_text(texts(TorchPagedBackend, device="cpu"), texts(kind, mode="fast"))


@pytest.mark.parametrize(
    "options",
    [
        {"tokens_per_step": 9, "max_sequences": 2, "blocks": 4},
        {"block_size": 4, "blocks": 30, "debug": True},
    ],
    ids=str,
)
def check_no_schedule_changes_a_bit(options: Mapping[str, Any]) -> None:
    same_bits(alone(), texts(OnKernels, mode="exact", **options))


def check_a_replayed_step_has_the_bits_of_a_launched_one() -> None:
    same_bits(alone(), texts(Replayed, mode="exact"))
