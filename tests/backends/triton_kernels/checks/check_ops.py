"""The executor's operations made of kernels, against those of plain Torch."""

import attrs
import pytest
import torch
from torch import Tensor

from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._ops import Ops
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._shape import Shape
from fairq_backends.torch_paged._torch_ops import FastTorchOps
from fairq_backends.torch_paged._triton_ops import TritonOps
from tests.backends.triton_kernels._world import (
    DEVICE,
    DTYPES,
    INTERPRETED,
    TOLERANCE,
    random_numbers,
)

SHAPE = Shape(heads=6, kv_heads=2, head_dim=64, block_size=16)
EVERY = (SHAPE.heads + 2 * SHAPE.kv_heads) * SHAPE.head_dim
POSITIONS = [(300, 0), (15, 2), (0, 4)]
SPANS = (Span(1, 0, 20, 3), Span(3, 40, 7, 23))


def angles() -> tuple[Tensor, Tensor]:
    rates = 10_000.0 ** (-torch.arange(32) / 32)
    turns = torch.arange(520)[:, None] * rates
    return turns.cos().to(DEVICE), turns.sin().to(DEVICE)


def tables() -> Tensor:
    order = torch.randperm(5 * 33, generator=torch.Generator().manual_seed(1))
    null = torch.full((5, 1), 165)
    return torch.cat([order.view(5, 33), null], 1).to(DEVICE, torch.int32)


def mixed_step(padding: int = 0) -> StepLayout:
    """Three decodes, two chunks, and padding."""
    chunks = [torch.arange(s.start, s.start + s.length) for s in SPANS]
    decodes = torch.tensor([position for position, _ in POSITIONS])
    blank = torch.zeros(padding, dtype=torch.int64)
    positions = torch.cat([decodes, *chunks, blank]).to(DEVICE)
    return StepLayout(
        tokens=torch.zeros_like(positions),
        positions=positions,
        decode_slots=torch.tensor([slot for _, slot in POSITIONS], device=DEVICE),
        spans=SPANS,
        sample_rows=torch.arange(3, device=DEVICE),
        sample_slots=torch.arange(3, device=DEVICE),
        longest=301,
        padding=padding,
    )


def pool(dtype: torch.dtype) -> LayerPool:
    pools = random_numbers(2, 166, 2, 16, 64, seed=5, dtype=dtype).to(DEVICE)
    pools[:, -1] = 0
    return LayerPool(pools[0].clone(), pools[1].clone())


def both(*, exact: bool = True) -> tuple[Ops, TritonOps]:
    given = (SHAPE, 1e-5, angles(), tables())
    ours = TritonOps(
        shape=SHAPE, norm_eps=1e-5, rope=given[2], tables=given[3], exact=exact
    )
    return FastTorchOps.make(*given), ours


def near(expected: Tensor, actual: Tensor) -> None:
    tolerance = 4 * TOLERANCE[expected.dtype]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("padding", [0, 2])
def check_a_mixed_step_attends_and_stores_alike(
    padding: int, dtype: torch.dtype
) -> None:
    layout = mixed_step(padding)
    qkv = random_numbers(30 + padding, EVERY, seed=2, dtype=dtype).to(DEVICE)
    answers = []
    for ops in both():
        cache = pool(dtype)
        out = ops.prepare(layout).attend(qkv, cache)
        answers.append((out[:30], cache.keys[:-1], cache.values[:-1]))
    for expected, actual in zip(*answers, strict=True):
        near(expected, actual)
    own = pool(dtype)
    padded = both()[1].prepare(layout).attend(qkv, own)
    assert padded.isfinite().all()
    assert (own.keys[-1] == 0).all()


def check_a_decode_has_the_bits_of_the_chunk_it_could_have_been() -> None:
    """Up to the interpreter's product, whose rows depend on their place."""
    ops = both()[1]
    qkv = random_numbers(30, EVERY, seed=2, dtype=torch.float32).to(DEVICE)
    step = mixed_step()
    decoded = ops.prepare(step).attend(qkv, pool(torch.float32))[0]
    alone = attrs.evolve(
        step,
        tokens=step.tokens[:1],
        positions=step.positions[:1],
        decode_slots=step.decode_slots[:0],
        spans=(Span(0, 300, 1, 0),),
        longest=0,
    )
    chunk = ops.prepare(alone).attend(qkv[:1], pool(torch.float32))[0]
    if INTERPRETED:
        near(decoded, chunk)
    else:
        assert torch.equal(decoded, chunk)


def check_kept_lists_cover_every_step_that_they_are_kept_for() -> None:
    ops, reference = both()[1], both()[0]
    first = attrs.evolve(
        mixed_step(),
        tokens=mixed_step().tokens[:3],
        positions=torch.tensor([257, 63, 250], device=DEVICE),
        spans=(),
        longest=258,
    )
    cache = pool(torch.float32)
    ops.prepare(first)
    for later in (0, 100, 254):
        positions = first.positions + later
        layout = attrs.evolve(first, positions=positions, longest=258 + later)
        qkv = random_numbers(3, EVERY, seed=later, dtype=torch.float32).to(DEVICE)
        expected = reference.prepare(layout).attend(qkv, cache)
        near(expected, ops.prepare(layout).attend(qkv, cache))


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def check_products_norms_and_gates_alike(dtype: torch.dtype, *, exact: bool) -> None:
    torch_ops, triton_ops = both(exact=exact)
    x = random_numbers(5, 48, seed=1, dtype=dtype).to(DEVICE)
    weight = random_numbers(72, 48, seed=2, dtype=dtype).to(DEVICE) / 8
    scale = random_numbers(48, seed=3, dtype=dtype).to(DEVICE)
    near(torch_ops.linear(weight, 5)(x), triton_ops.linear(weight, 5)(x))
    near(torch_ops.gated(weight, 5)(x), triton_ops.gated(weight, 5)(x))
    near(torch_ops.norm(x, scale), triton_ops.norm(x, scale))
    expected = torch_ops.add_norm(x, x.clone(), scale)
    for one, other in zip(
        expected, triton_ops.add_norm(x, x.clone(), scale), strict=True
    ):
        near(one, other)
    assert 5 == triton_ops.padded(5)
