"""The kernels that work row by row, against their references and by hand."""

import pytest
import torch
from torch import Tensor

from fairq_backends.triton_kernels import (
    add_norm,
    matmul,
    references,
    rope_store,
    swiglu,
)
from tests.backends.triton_kernels._world import (
    DEVICE,
    DTYPES,
    TOLERANCE,
    random_numbers,
)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
PAGE = 16


def near(expected: Tensor, actual: Tensor) -> None:
    tolerance = TOLERANCE[expected.dtype]
    assert expected.dtype == actual.dtype
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def numbers(*shape: int, seed: int, dtype: torch.dtype) -> Tensor:
    return random_numbers(*shape, seed=seed, dtype=dtype).to(DEVICE)


def angles(dim: int) -> tuple[Tensor, Tensor]:
    rates = 10_000.0 ** (-torch.arange(dim // 2) / (dim // 2))
    turns = torch.arange(50)[:, None] * rates
    return turns.cos().to(DEVICE), turns.sin().to(DEVICE)


@each_dtype
@pytest.mark.parametrize(
    ("heads", "kv_heads", "dim"), [(2, 2, 64), (9, 3, 64), (14, 2, 80), (4, 1, 128)]
)
def check_rope_and_store(
    heads: int, kv_heads: int, dim: int, dtype: torch.dtype
) -> None:
    slots = torch.tensor([5 * PAGE + 3, -1, 0, 2 * PAGE + 15, -1], device=DEVICE)
    positions = torch.tensor([0, 0, 1, 31, 49], device=DEVICE)
    qkv = numbers(5, (heads + 2 * kv_heads) * dim, seed=1, dtype=dtype)
    cos, sin = angles(dim)
    answers = []
    for store in (references.rope_store, rope_store):
        pools = torch.full((2, 6, kv_heads, PAGE, dim), torch.nan, dtype=dtype)
        keys, values = pools.to(DEVICE)
        q = torch.full((5, heads, dim), torch.nan, dtype=dtype, device=DEVICE)
        store(qkv, cos, sin, positions, slots, q, keys, values)
        answers.append((q, keys, values))
    for expected, actual in zip(*answers, strict=True):
        assert torch.equal(expected.isnan(), actual.isnan())
        near(expected.nan_to_num(0), actual.nan_to_num(0))
    _, keys, values = answers[1]
    stored = 3 * kv_heads * dim
    assert stored == int((~keys.isnan()).sum())
    assert stored == int((~values.isnan()).sum())


def check_rope_turns_pairs_half_a_head_apart() -> None:
    qkv = torch.zeros(1, 3 * 64, device=DEVICE)
    qkv[0, 5] = 1.0
    cos, sin = angles(64)
    pools = torch.zeros(2, 1, 1, PAGE, 64, device=DEVICE)
    q = torch.zeros(1, 1, 64, device=DEVICE)
    where = torch.tensor([7], device=DEVICE)
    rope_store(qkv, cos, sin, where, where, q, pools[0], pools[1])
    expected = torch.zeros(64, device=DEVICE)
    expected[5], expected[5 + 32] = cos[7, 5], sin[7, 5]
    assert torch.equal(expected, q[0, 0])


def check_no_rows_are_no_work() -> None:
    cos, sin = angles(64)
    pools = torch.zeros(2, 1, 1, PAGE, 64, device=DEVICE)
    none = torch.zeros(0, dtype=torch.int64, device=DEVICE)
    q = torch.zeros(0, 1, 64, device=DEVICE)
    qkv = torch.zeros(0, 192, device=DEVICE)
    rope_store(qkv, cos, sin, none, none, q, pools[0], pools[1])
    assert (0, 96) == swiglu(qkv).shape
    assert (0, 192) == add_norm(qkv, None, torch.ones(192, device=DEVICE), 1e-5)[
        1
    ].shape
    assert (0, 4) == matmul(qkv, torch.ones(4, 192, device=DEVICE)).shape


@each_dtype
@pytest.mark.parametrize("width", [1, 48, 576, 3000])
def check_add_and_norm(width: int, dtype: torch.dtype) -> None:
    x = numbers(3, width, seed=1, dtype=dtype)
    weight = numbers(width, seed=3, dtype=dtype)
    residual = numbers(3, width, seed=2, dtype=torch.float32).to(dtype) * 4
    expected = references.add_norm(x, residual, weight, 1e-5)
    total, normed = add_norm(x, residual, weight, 1e-5)
    assert total is residual
    assert torch.equal(expected[0], total)
    near(expected[1], normed)


@each_dtype
def check_the_norm_is_that_of_the_rounded_sum(dtype: torch.dtype) -> None:
    x = numbers(8, 576, seed=1, dtype=dtype)
    weight = numbers(576, seed=3, dtype=dtype)
    total, normed = add_norm(x, x.flip(0) * 100, weight, 1e-5)
    assert torch.equal(add_norm(total, None, weight, 1e-5)[1], normed)


@each_dtype
def check_norm_alone(dtype: torch.dtype) -> None:
    x = numbers(4, 576, seed=1, dtype=dtype)
    weight = torch.ones(576, dtype=dtype, device=DEVICE)
    before = x.clone()
    total, normed = add_norm(x, None, weight, 1e-5)
    assert total is x
    assert torch.equal(before, x)
    squares = normed.float().square().mean(1)
    torch.testing.assert_close(squares, torch.ones_like(squares), atol=1e-2, rtol=0)


def check_a_norm_does_not_overflow_in_half_precision() -> None:
    x = torch.full((1, 64), 30_000.0, dtype=torch.float16, device=DEVICE)
    weight = torch.ones(64, dtype=torch.float16, device=DEVICE)
    _, normed = add_norm(x, None, weight, 1e-5)
    assert (normed == 1).all()


@each_dtype
@pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning")
@pytest.mark.parametrize("width", [1, 80, 1536])
def check_swiglu(width: int, dtype: torch.dtype) -> None:
    gate_up = numbers(3, 2 * width, seed=1, dtype=dtype) * 3
    gate_up[0, 0] = -100.0
    near(references.swiglu(gate_up), swiglu(gate_up))


@each_dtype
@pytest.mark.parametrize(
    ("rows", "n", "k"), [(1, 1, 1), (3, 70, 33), (64, 64, 64), (65, 130, 100)]
)
def check_matmul(rows: int, n: int, k: int, dtype: torch.dtype) -> None:
    x = numbers(rows, k, seed=1, dtype=dtype)
    w = numbers(n, k, seed=2, dtype=dtype) / 8
    near(references.matmul(x, w), matmul(x, w, programs=2))


def check_matmul_in_float32_is_no_tf32() -> None:
    x = torch.full((1, 16), 1 + 2.0**-20, device=DEVICE)
    assert 16 + 2.0**-16 == matmul(x, torch.ones(1, 16, device=DEVICE)).item()
