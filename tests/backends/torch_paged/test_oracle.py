"""The executor says what the plain model says, wherever its blocks are."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fairq import RequestId
from fairq_backends.llama import Model
from fairq_backends.reference import forward
from tests.backends._plans import chunk, plan
from tests.backends.reference._models import ROPES, tiny_model
from tests.backends.torch_paged._stage import MODEL, decoded, entry, first, small

MODELS: dict[str, dict[str, Any]] = {
    "odd": {},
    "untied": {"tied": False},
    "one layer": {"layers": 1, "intermediate_size": 33},
    "no groups": {"heads": 2, "kv_heads": 2, "head_dim": 64, "hidden_size": 40},
    "one KV head": {"heads": 5, "kv_heads": 1, "head_dim": 80},
    "tiny heads": {"heads": 3, "kv_heads": 3, "head_dim": 2, "hidden_size": 7},
    **{f"rope {name}": {"rope": rope} for name, rope in ROPES.items()},
}
LONG = tuple(7 * n % 97 for n in range(130))
SHORT = (5,)


@torch.inference_mode()
def expected(model: Model, text: list[int]) -> Tensor:
    return forward(model.weights, model.config, torch.tensor(text))[-1]


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_logits_are_those_of_the_plain_model(
    changes: dict[str, Any], mode: str
) -> None:
    model = tiny_model(seed=3, **changes)
    backend = small(model, mode=mode, blocks=60, tokens_per_step=131)
    texts = {0: list(LONG), 1: list(SHORT)}
    backend.step(
        plan(
            0,
            enter=[entry(0, LONG, tuple(range(40))), entry(1, SHORT, (40, 41))],
            chunks=[chunk(0, 0, len(LONG)), chunk(1, 0, len(SHORT))],
        )
    )
    for step in range(1, 5):
        for name, text in texts.items():
            logits, plain = backend.logits[RequestId(name)], expected(model, text)
            assert 1e-4 * float(plain.abs().max()) > (plain - logits).abs().max()
            assert int(plain.argmax()) == int(logits.argmax())
            text.append(int(logits.argmax()))
        decoded(backend, step, 0, 1)


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_types_stay_close_to_the_plain_model(dtype: str, mode: str) -> None:
    model = tiny_model(seed=3)
    backend = small(model, mode=mode, dtype=dtype, blocks=60, tokens_per_step=131)
    logits = first(backend, entry(0, LONG, tuple(range(40))))[1]

    plain = expected(model, list(LONG))
    assert torch.float32 == logits.dtype
    assert 0.06 * float(plain.abs().max()) > (plain - logits).abs().max()


# --- where things are in memory -------------------------------------------------------


def four_steps(
    table: tuple[int, ...],
    slot: int,
    **options: Any,  # noqa: ANN401  # options of all types
) -> list[Tensor]:
    """Logits of a prompt in two chunks and two decodes, in these blocks."""
    backend = small(MODEL, tokens_per_step=131, **options)
    made = entry(0, LONG, table, slot=slot)
    backend.step(plan(0, enter=[made], chunks=[chunk(0, 0, 67, samples=False)]))
    found = []
    backend.step(plan(1, chunks=[chunk(0, 67, 63)]))
    found.append(backend.logits[RequestId(0)])
    for step in (2, 3):
        backend.step(plan(step, decodes={0: slot}))
        found.append(backend.logits[RequestId(0)])
    return found


def blocks_of(size: int) -> tuple[int, ...]:
    return tuple(range(-(-(len(LONG) + 4) // size)))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("block_size", [1, 3, 7, 16, 48, 64, 100, 128])
def test_the_size_of_blocks_changes_no_bit(block_size: int, dtype: str) -> None:
    plain = four_steps(blocks_of(512), 0, blocks=1, block_size=512, dtype=dtype)

    paged = four_steps(
        blocks_of(block_size), 0, blocks=140, block_size=block_size, dtype=dtype
    )

    assert all(map(torch.equal, plain, paged))
    assert 3 == len(plain)


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_neither_the_ids_of_blocks_nor_the_slot_change_a_bit(mode: str) -> None:
    blocks = blocks_of(4)
    made = torch.Generator().manual_seed(1)
    shuffled = tuple(torch.randperm(90, generator=made)[: len(blocks)].tolist())

    expected = four_steps(blocks, 0, blocks=90, mode=mode)
    actual = four_steps(shuffled, 3, blocks=90, mode=mode)

    assert all(map(torch.equal, expected, actual))


def test_two_tables_may_share_blocks() -> None:
    """A prefix hit gives the bits of a prompt that was computed whole."""
    prompt, other = LONG[:40], (*LONG[:32], 90, 91, 92)
    backend = small(MODEL)
    first(backend, entry(0, prompt, tuple(range(11))))
    whole = first(small(MODEL), entry(1, other, tuple(range(9))))[1]

    hit = entry(1, other, (*range(8), 20), cached=32)
    backend.step(plan(1, enter=[hit], chunks=[chunk(1, 32, 3)], decodes=[0]))

    assert torch.equal(whole, backend.logits[RequestId(1)])
    # The other one leaves; what they share stays.
    backend.step(plan(2, leave=[0], decodes=[1]))
    kept = small(MODEL)
    first(kept, entry(1, other, tuple(range(9))))
    assert torch.equal(decoded(kept, 1, 1)[0], backend.logits[RequestId(1)])
