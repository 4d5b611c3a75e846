"""The executor on a GPU: its graphs, its exact mode, and the CPU as a witness."""

from collections.abc import Mapping
from typing import Any, Final

import attrs
import pytest
import torch
from torch import Tensor

from fairq import Kernel, Request, RequestId, StepPlan
from fairq_backends.catalogue import SMOLLM2
from fairq_backends.llama import LlamaConfig, Model, load_model, random_model
from fairq_backends.torch_paged import TorchPagedBackend, _triton_ops
from fairq_backends.torch_paged._graphs import Graphs
from fairq_backends.torch_paged._triton_ops import TritonOps

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

DEVICE: Final = "cuda"
LENGTHS: Final = (1, 15, 16, 90, 257, 300)
"""Of the prompts: around a block, a tile and a segment."""
OUTPUT: Final = 24
ROOMY: Final[dict[str, Any]] = {
    "device": DEVICE,
    "blocks": 128,
    "max_sequences": 8,
    "tokens_per_step": 2048,
    "keep_logits": True,
}
ALONE: Final[dict[str, Any]] = {"max_sequences": 1}
WORLDS: Final[dict[str, dict[str, Any]]] = {
    "together": {},
    "in chunks of few positions": {"tokens_per_step": 17},
    "preempted": {"blocks": 47},
    "in other blocks": {"block_size": 32},
    "without graphs": {"cuda_graphs": False},
}
SHAPES: Final = {
    "G 3, D 64": LlamaConfig(
        vocab_size=97,
        hidden_size=576,
        intermediate_size=1536,
        layers=2,
        heads=9,
        kv_heads=3,
        head_dim=64,
        context_length=512,
    ),
    "G 4, D 128": LlamaConfig(
        vocab_size=301,
        hidden_size=512,
        intermediate_size=1000,
        layers=2,
        heads=8,
        kv_heads=2,
        head_dim=128,
        context_length=512,
        tied=False,
    ),
}
MODES: Final = ("exact", "fast")
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_mode = pytest.mark.parametrize("mode", MODES)


@attrs.frozen(eq=False)
class Served:
    """What came of some requests."""

    tokens: list[list[int]]
    logits: list[Tensor]
    """(tokens, vocabulary) of each, on the CPU."""
    preempted: int


def serve(
    backend: TorchPagedBackend, prompts: list[list[int]], output: int = OUTPUT
) -> Served:
    """All requests at once, through a kernel."""
    kernel = Kernel(backend.capacity)
    # One that ends at once: an optimistic kernel expects as much of the others.
    drive(kernel, backend, [kernel.submit(request([1], 1))])
    names = [kernel.submit(request(prompt, output)) for prompt in prompts]
    return drive(kernel, backend, names)


def request(prompt: list[int], output: int) -> Request:
    return Request(
        tenant="t", prompt=prompt, max_tokens=output, sampling={"ignore_eos": True}
    )


def drive(kernel: Kernel, backend: TorchPagedBackend, names: list[RequestId]) -> Served:
    tokens: dict[RequestId, list[int]] = {name: [] for name in names}
    logits: dict[RequestId, list[Tensor]] = {name: [] for name in names}
    preempted = 0
    while isinstance(plan := kernel.plan(), StepPlan):
        preempted += sum(len(it.tokens) > it.prompt_length for it in plan.enter)
        result = backend.step(plan)
        kernel.commit(result)
        for name, token in result.tokens.items():
            tokens[name].append(token)
            logits[name].append(backend.logits[name].cpu())
    return Served(
        list(tokens.values()),
        [torch.stack(each) for each in logits.values()],
        preempted,
    )


def prompts(shape: str) -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    most = SHAPES[shape].vocab_size
    return [
        torch.randint(0, most, (length,), generator=generator).tolist()
        for length in LENGTHS
    ]


def model(shape: str, dtype: torch.dtype = torch.bfloat16) -> Model:
    return random_model(SHAPES[shape], dtype=dtype)


def backend_of(model: Model, **options: object) -> TorchPagedBackend:
    merged: Mapping[str, Any] = {**ROOMY, **options}
    return TorchPagedBackend(model=model, **merged)


def assert_same_bits(expected: Served, actual: Served) -> None:
    for one, other in zip(expected.logits, actual.logits, strict=True):
        assert one.isfinite().all()
        assert torch.equal(one, other), f"differ by {(one - other).abs().max()}"


@each_mode
@each_shape
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_graphs_change_no_bit(shape: str, mode: str, dtype: str) -> None:
    made = model(shape, getattr(torch, dtype))
    replaying = backend_of(made, mode=mode)

    actual = serve(replaying, prompts(shape))
    eager = serve(backend_of(made, mode=mode, cuda_graphs=False), prompts(shape))

    assert_same_bits(eager, actual)
    assert isinstance(replaying._network, Graphs)
    assert replaying._network._graphs


@each_shape
@pytest.mark.parametrize("world", WORLDS)
def test_exact_mode_gives_each_request_the_bits_of_its_run_alone(
    shape: str, world: str
) -> None:
    made = model(shape)

    alone = serve(backend_of(made, mode="exact", **ALONE), prompts(shape))
    actual = serve(backend_of(made, mode="exact", **WORLDS[world]), prompts(shape))

    assert_same_bits(alone, actual)
    assert (world == "preempted") == (actual.preempted > 0)


@each_mode
@each_shape
def test_a_gpu_computes_what_a_cpu_does(shape: str, mode: str) -> None:
    made = model(shape, torch.float32)

    expected = serve(backend_of(made, mode="exact", device="cpu"), prompts(shape))
    actual = serve(backend_of(made, mode=mode), prompts(shape))

    for one, other in zip(expected.logits, actual.logits, strict=True):
        torch.testing.assert_close(other, one, rtol=2e-3, atol=2e-3)
    assert expected.tokens == actual.tokens


@each_shape
@pytest.mark.parametrize("rows", [16, 64])
def test_rows_of_a_program_change_no_bit(
    shape: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(shape)
    usual = serve(backend_of(made, mode="exact"), prompts(shape))
    monkeypatch.setattr(_triton_ops, "program_rows", lambda _group: rows)
    other = backend_of(made, mode="exact", cuda_graphs=False)
    assert isinstance(other._ops, TritonOps)
    other._ops.prefill_rows = rows

    assert_same_bits(usual, serve(other, prompts(shape)))


def test_decodes_in_programs_of_128_rows_have_the_same_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (shape, *_) = SHAPES
    made = model(shape)
    usual = serve(backend_of(made, mode="exact"), prompts(shape))
    monkeypatch.setattr(_triton_ops, "program_rows", lambda _group: 128)

    other = backend_of(made, mode="exact", cuda_graphs=False)

    assert_same_bits(usual, serve(other, prompts(shape)))


@pytest.fixture
def real_model() -> Model:
    """SmolLM2-135M in float32, if it was downloaded."""
    path = SMOLLM2.path()
    if path is None:
        pytest.skip("SmolLM2 is not in the cache; run: fairq models pull smollm2")
    return load_model(path, dtype=torch.float32, device=DEVICE)


NARROW: Final = 0.01
"""A margin between the two best tokens that rounding might turn around."""


@each_mode
def test_a_real_model_says_what_it_should(
    real_model: Model, golden: dict[str, Any], mode: str
) -> None:
    cases = golden["prompts"]
    backend = backend_of(real_model, mode=mode)
    made = serve(backend, [case["prompt_ids"] for case in cases], 48)
    for case, tokens, logits in zip(cases, made.tokens, made.logits, strict=True):
        sure = 0
        for margin in case["step_margin_top1_top2"]:
            if margin < NARROW:
                break
            sure += 1
        assert 0 < sure
        assert case["generated_ids"][:sure] == tokens[:sure]
        best = case["first_step_top5"]
        top = logits[0].topk(5)
        assert [each["id"] for each in best] == top.indices.tolist()
        expected = [each["logit"] for each in best]
        assert expected == pytest.approx(top.values.tolist(), abs=1e-3)
