"""Draws: ties, noise, and rows that no token can be drawn from."""

import pytest
import torch
from torch import Tensor

from fairq_backends.sampling import gumbel_noise, hash_bits
from fairq_backends.triton_kernels import references, sample
from fairq_backends.triton_kernels._language import Pointer, constexpr, jit, tl
from fairq_backends.triton_kernels._sample import gumbel, hash_row, hash_token
from tests.backends.triton_kernels._world import DEVICE, DTYPES, random_numbers

SEEDS = [0, 1, 12345, 2**32, 2**40 + 7, 2**63 - 1]
POSITIONS = [0, 1, 77, 4096, 2**31 - 1, 5]
TOKENS = 3000


@jit
def hash_kernel(
    seeds: Pointer,
    positions: Pointer,
    bits: Pointer,
    noise: Pointer,
    width: constexpr,
    block: constexpr,
) -> None:
    row = tl.program_id(0)
    token = tl.arange(0, block)
    key = hash_row(tl.load(seeds + row), tl.load(positions + row))
    mixed = hash_token(key, token)
    mask = token < width
    tl.store(bits + row * width + token, mixed.to(tl.int64), mask=mask)
    tl.store(noise + row * width + token, gumbel(mixed), mask=mask)


def parameters(
    rows: int, temperature: float = 0.0, dtype: torch.dtype = torch.int64
) -> tuple[Tensor, ...]:
    return (
        torch.full((rows,), temperature, device=DEVICE),
        torch.arange(rows, device=DEVICE),
        torch.arange(rows, device=DEVICE, dtype=dtype) + 100,
    )


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def check_the_hash_has_the_bits_of_the_reference(dtype: torch.dtype) -> None:
    seeds = torch.tensor(SEEDS, device=DEVICE)
    positions = torch.tensor(POSITIONS, dtype=dtype, device=DEVICE)
    ids = torch.arange(TOKENS, device=DEVICE)
    bits = torch.zeros(len(SEEDS), TOKENS, dtype=torch.int64, device=DEVICE)
    noise = torch.zeros(len(SEEDS), TOKENS, device=DEVICE)
    hash_kernel[(len(SEEDS),)](
        seeds, positions, bits, noise, width=TOKENS, block=4096, enable_fp_fusion=False
    )
    columns = (seeds[:, None], positions.long()[:, None], ids[None, :])
    assert torch.equal(hash_bits(*columns), bits)
    torch.testing.assert_close(gumbel_noise(*columns), noise, rtol=2e-6, atol=1e-6)


def check_noise_at_both_ends_of_the_range_is_finite_and_exact() -> None:
    """Every 31-bit number counts, and the extremes most."""
    bits = torch.tensor([0, 1, 2, 3, 2**31, 2**32 - 2, 2**32 - 1], dtype=torch.int64)
    rest = ((bits >> 1).double() + 0.5) * 2.0**-31
    exact = -torch.log(-torch.log1p(-rest.clamp(max=1 - 2.0**-24)))
    actual = torch.zeros(8, device=DEVICE)
    padded = torch.cat([bits, bits[:1]]).to(DEVICE)
    noise_kernel[(1,)](padded, actual, block=8, enable_fp_fusion=False)
    torch.testing.assert_close(exact.float(), actual[:7].cpu(), rtol=1e-6, atol=1e-6)


@jit
def noise_kernel(bits: Pointer, noise: Pointer, block: constexpr) -> None:
    i = tl.arange(0, block)
    tl.store(noise + i, gumbel(tl.load(bits + i).to(tl.uint32)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("vocabulary", [1, 97, 2048, 5000])
def check_greedy_takes_the_largest(vocabulary: int, dtype: torch.dtype) -> None:
    logits = random_numbers(4, vocabulary, seed=1, dtype=dtype).to(DEVICE)
    expected = logits.float().argmax(1)
    assert torch.equal(expected, sample(logits, *parameters(4)))


@pytest.mark.parametrize("ties", [[0, 1], [5, 6], [100, 2047, 2048], [3000, 4999]])
def check_of_equal_logits_the_lowest_id_wins(ties: list[int]) -> None:
    logits = torch.zeros(2, 5000, device=DEVICE)
    logits[:, ties] = 3.0
    assert [ties[0]] * 2 == sample(logits, *parameters(2)).tolist()


@pytest.mark.parametrize("temperature", [1e-30, 0.3, 1.0, 50.0])
def check_draws_are_those_of_the_reference(temperature: float) -> None:
    logits = random_numbers(5, 5000, seed=2, dtype=torch.float32).to(DEVICE) * 3
    given = parameters(5, temperature, dtype=torch.int32)
    assert torch.equal(references.sample(logits, *given), sample(logits, *given))


def check_a_draw_does_not_depend_on_its_row() -> None:
    logits = random_numbers(1, 3000, seed=2, dtype=torch.float32).to(DEVICE)
    temperatures, seeds, positions = parameters(6, 1.0)
    together = sample(logits.expand(6, -1).contiguous(), temperatures, seeds, positions)
    alone = [
        sample(logits, temperatures[r : r + 1], seeds[r : r + 1], positions[r : r + 1])
        for r in range(6)
    ]
    assert torch.equal(torch.cat(alone), together)
    assert len(set(together.tolist())) > 3


def check_ruled_out_tokens_are_never_drawn() -> None:
    logits = torch.full((8, 100), -torch.inf, device=DEVICE)
    logits[:, 42] = -5.0
    assert [42] * 8 == sample(logits, *parameters(8, 1.0)).tolist()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def check_a_row_without_a_finite_peak_gets_no_token(
    bad: float, temperature: float
) -> None:
    logits = torch.zeros(3, 2100, device=DEVICE)
    logits[1, 2077] = bad
    logits[2] = -torch.inf
    tokens = sample(logits, *parameters(3, temperature)).tolist()
    assert [-1, -1] == tokens[1:]
    assert 0 <= tokens[0] < 2100


def check_no_rows_draw_nothing() -> None:
    assert [] == sample(torch.zeros(0, 5, device=DEVICE), *parameters(0)).tolist()
