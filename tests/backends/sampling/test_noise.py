"""Noise is a pure function of three numbers, and looks like noise."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairq_backends.sampling import gumbel_noise, hash_bits

WORD = 2**32


def triple32(x: int) -> int:
    """The published finaliser, with whole integers."""
    x ^= x >> 17
    x = x * 0xED5AD4BB % WORD
    x ^= x >> 11
    x = x * 0xAC4C1B51 % WORD
    x ^= x >> 15
    x = x * 0x31848BAB % WORD
    return x ^ (x >> 14)


def plain_hash(seed: int, position: int, token_id: int) -> int:
    def mix(x: int) -> int:
        return triple32((x + 0x9E3779B9) % WORD)

    row = mix(mix(mix(seed % WORD) ^ (seed >> 32)) ^ position)
    return mix(row ^ mix(token_id))


def grid(seeds: list[int], positions: range, tokens: range) -> Tensor:
    """Hashes of all combinations: (seeds, positions, tokens)."""
    return hash_bits(
        torch.tensor(seeds)[:, None, None],
        torch.tensor(positions)[None, :, None],
        torch.tensor(tokens)[None, None, :],
    )


def chi_square(counts: Tensor) -> float:
    """How many standard deviations a chi-square of equal cells is off; about N(0, 1).

    Wilson and Hilferty, 1931.
    """
    counts = counts.double().flatten()
    expected = counts.sum() / counts.numel()
    degrees = counts.numel() - 1
    value = float(((counts - expected) ** 2 / expected).sum())
    spread = 2 / (9 * degrees)
    return (math.cbrt(value / degrees) - (1 - spread)) / math.sqrt(spread)


@given(
    seed=st.integers(0, 2**63 - 1),
    position=st.integers(0, 2**31 - 1),
    token_id=st.integers(0, 2**31 - 1),
)
def test_the_hash_is_the_published_one_in_uint32_arithmetic(
    seed: int, position: int, token_id: int
) -> None:
    got = hash_bits(*(torch.tensor([each]) for each in (seed, position, token_id)))

    assert torch.int64 == got.dtype
    assert [plain_hash(seed, position, token_id)] == got.tolist()


def test_the_hash_never_changes_between_versions() -> None:
    got = grid([0, 2**63 - 1], range(2), range(2))

    expected = [
        plain_hash(s, p, t) for s in (0, 2**63 - 1) for p in (0, 1) for t in (0, 1)
    ]
    assert expected == got.flatten().tolist()
    assert 0 not in expected


@given(data=st.data())
@settings(deadline=None)
def test_neither_shape_nor_order_nor_place_changes_a_bit(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 9))
    width = data.draw(st.sampled_from([1, 5, 97, 1000]))
    seeds = torch.arange(rows) * 7919
    ids = torch.arange(width)
    whole = gumbel_noise(seeds[:, None], seeds[:, None] + 3, ids[None, :])
    order = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1)))
    start = data.draw(st.integers(0, width - 1))

    picked = gumbel_noise(
        seeds[order][:, None], seeds[order][:, None] + 3, ids[None, start:]
    )

    assert torch.equal(whole[order][:, start:], picked)


@pytest.mark.parametrize("shift", [0, 8, 16, 24])
def test_every_byte_of_the_hash_is_uniform(shift: int) -> None:
    bits = grid([0, 1, 2**40], range(64), range(4096))

    counts = torch.bincount((bits >> shift & 255).flatten(), minlength=256)

    assert 4 > abs(chi_square(counts))


@pytest.mark.parametrize(
    "step", [(0, 1, 0), (1, 0, 0), (0, 0, 1), (0, 16, 0), (0, 1, 1), (2, 0, 1)]
)
def test_neighbours_are_independent(step: tuple[int, int, int]) -> None:
    """Pairs of upper nibbles fill a 16 by 16 table evenly."""
    seeds, positions, tokens = step
    bits = grid(list(range(8)), range(128), range(512)) >> 28
    ahead = bits[seeds:, positions:, tokens:]
    behind = bits[: 8 - seeds, : 128 - positions, : 512 - tokens]

    counts = torch.bincount((ahead * 16 + behind).flatten(), minlength=256)

    assert 4 > abs(chi_square(counts))


def test_the_halves_of_a_seed_both_matter() -> None:
    seeds = [1, 1 << 32, (1 << 32) + 1, 1 << 62]

    bits = grid(seeds, range(1), range(64)).reshape(4, 64)

    assert 4 * 64 == len({*bits.flatten().tolist()})


def test_gumbel_noise_has_the_distribution_of_gumbel() -> None:
    noise = gumbel_noise(
        torch.tensor([[5]]), torch.arange(256)[:, None], torch.arange(2048)[None, :]
    ).double()

    # Its distribution function makes it uniform again.
    uniform = torch.exp(-torch.exp(-noise)).flatten()
    counts = torch.histc(uniform, bins=200, min=0, max=1)
    assert 4 > abs(chi_square(counts))
    assert torch.isfinite(noise).all()
    assert 0.5772 == pytest.approx(float(noise.mean()), abs=0.01)
    assert math.pi**2 / 6 == pytest.approx(float(noise.var()), abs=0.02)


def test_noise_is_finite_at_both_ends_of_the_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends = torch.tensor([0, 1, 2**31 - 1, -(2**31), -2, -1], dtype=torch.int32)
    monkeypatch.setattr("fairq_backends.sampling._noise._bits", lambda *_: ends)
    nothing = torch.zeros(1, dtype=torch.int64)

    noise = gumbel_noise(nothing, nothing, nothing)

    assert torch.isfinite(noise).all()
    assert [22.18, 22.18] == pytest.approx(noise[:2].tolist(), abs=0.01)
    assert [-2.81, -2.81] == pytest.approx(noise[4:].tolist(), abs=0.01)
