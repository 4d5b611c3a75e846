"""Draw a token for each row: the largest logit, or the largest with Gumbel noise.

The noise is that of ``fairq_backends.sampling.gumbel_noise``: a hash of the request's
seed, the position and the token id, computed here with the same bits.
"""

from typing import Final

import torch
from torch import Tensor

from fairq_backends.sampling import NO_TOKEN, gumbel_noise
from fairq_backends.triton_kernels._check import FLOATS, INTEGERS, check, check_device
from fairq_backends.triton_kernels._language import Pointer, Scalar, constexpr, jit, tl

__all__ = ["gumbel", "hash_row", "hash_token", "reference", "sample", "sample_kernel"]

BLOCK: Final = 2048
"""Logits that a program looks at in one go."""


def reference(
    logits: Tensor, temperatures: Tensor, seeds: Tensor, positions: Tensor
) -> Tensor:
    """What ``sample`` computes, with plain Torch."""
    x = logits.float()
    peaks, greedy = x.max(1)[0][:, None], x.argmax(1)
    ids = torch.arange(x.shape[1], device=x.device)[None, :]
    noise = gumbel_noise(seeds[:, None], positions.long()[:, None], ids)
    draws = temperatures > 0
    scaled = (x - peaks) / torch.where(draws, temperatures, 1.0)[:, None]
    tokens = torch.where(draws, (scaled + noise).argmax(1), greedy)
    return torch.where(peaks[:, 0].isfinite(), tokens, NO_TOKEN)


def sample(
    logits: Tensor, temperatures: Tensor, seeds: Tensor, positions: Tensor
) -> Tensor:
    """A token for each row, without top-k and top-p. Ties go to the lowest id.

    Args:
        logits: (R, V).
        temperatures: (R,) float32; 0 is greedy.
        seeds: (R,) int64, >= 0.
        positions: (R,) int32 or int64: the position that the drawn token will have.

    Returns:
        (R,) int64; -1 (``sampling.NO_TOKEN``) where the largest logit is no finite
        number: there is a NaN or inf, or nothing but -inf.

    Raises:
        KernelUsageError: An argument does not fit.
    """
    check("logits", logits, (None, None), FLOATS)
    check_device("logits", logits)
    rows, vocabulary = logits.shape
    check("temperatures", temperatures, (rows,), (torch.float32,))
    check("seeds", seeds, (rows,), (torch.int64,))
    check("positions", positions, (rows,), INTEGERS)
    out = torch.empty(rows, dtype=torch.int64, device=logits.device)
    if rows:
        sample_kernel[(rows,)](
            logits,
            temperatures,
            seeds,
            positions,
            out,
            vocabulary=vocabulary,
            block=BLOCK,
            num_warps=8,
            enable_fp_fusion=False,
        )
    return out


@jit
def sample_kernel(  # noqa: PLR0913, PLR0917  # a kernel has no objects
    logits: Pointer,
    temperatures: Pointer,
    seeds: Pointer,
    positions: Pointer,
    out: Pointer,
    vocabulary: constexpr,
    block: constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    mine = logits + row * vocabulary
    peak, token, bad = _greedy(mine, vocabulary, block)
    temperature = tl.load(temperatures + row)
    infinite = (peak == float("inf")) | (peak == float("-inf")) | (bad > 0)
    if (temperature > 0.0) & (infinite == 0):
        key = hash_row(tl.load(seeds + row), tl.load(positions + row))
        token = _drawn(mine, peak, temperature, key, vocabulary, block)
    tl.store(out + row, tl.where(infinite, -1, token).to(tl.int64))


@jit
def _greedy(logits: Pointer, vocabulary: constexpr, block: constexpr) -> Scalar:
    """The largest logit, the lowest id that has it, and how many are NaN."""
    i = tl.arange(0, block)
    peak = tl.full((), float("-inf"), tl.float32)
    token = tl.full((), 0, tl.int32)
    bad = tl.full((), 0, tl.int32)
    for first in range(0, vocabulary, block):
        there = first + i < vocabulary
        x = tl.load(logits + first + i, mask=there, other=float("-inf"))
        x = x.to(tl.float32)
        bad += tl.sum((x != x).to(tl.int32), 0)  # noqa: PLR0124  # only NaN differs from itself
        peak, token = _larger(peak, token, x, first + i)
    return peak, token, bad


@jit
def _larger(best: Scalar, token: Scalar, x: Scalar, ids: Scalar) -> Scalar:
    """Compare block with what came before it; an equal later id does not win."""
    top = tl.max(x, 0)
    lowest = tl.min(tl.where(x == top, ids, 0x7FFFFFFF), 0)
    wins = top > best
    return tl.where(wins, top, best), tl.where(wins, lowest, token)


@jit
def _drawn(
    logits: Pointer,
    peak: Scalar,
    temperature: Scalar,
    key: Scalar,
    vocabulary: constexpr,
    block: constexpr,
) -> Scalar:
    i = tl.arange(0, block)
    best = tl.full((), float("-inf"), tl.float32)
    token = tl.full((), 0, tl.int32)
    for first in range(0, vocabulary, block):
        there = first + i < vocabulary
        x = tl.load(logits + first + i, mask=there, other=float("-inf"))
        # Shifted first: a tiny temperature then gives 0 and -inf, and never inf.
        x = tl.math.div_rn(x.to(tl.float32) - peak, temperature)
        x += gumbel(hash_token(key, first + i))
        best, token = _larger(best, token, x, first + i)
    return token


@jit
def _round(x: Scalar) -> Scalar:
    """triple32 of x + 2**32 / golden ratio, in uint32."""
    x = x + 0x9E3779B9
    x = (x ^ (x >> 17)) * 0xED5AD4BB
    x = (x ^ (x >> 11)) * 0xAC4C1B51
    x = (x ^ (x >> 15)) * 0x31848BAB
    return x ^ (x >> 14)


@jit
def hash_row(seed: Scalar, position: Scalar) -> Scalar:
    """What all tokens of a row share."""
    low = seed.to(tl.uint32)
    high = (seed >> 32).to(tl.uint32)
    return _round(_round(_round(low) ^ high) ^ position.to(tl.uint32))


@jit
def hash_token(row: Scalar, token: Scalar) -> Scalar:
    """The 32 bits of ``fairq_backends.sampling.hash_bits``."""
    return _round(row ^ _round(token.to(tl.uint32)))


@jit
def gumbel(bits: Scalar) -> Scalar:
    """-log(-log1p(-rest)) with the upper 31 bits as rest, between 0 and 1."""
    rest = ((bits >> 1).to(tl.int32).to(tl.float32) + 0.5) * 4.656612873077393e-10
    rest = tl.minimum(rest, 0.999999940395355224609375)
    # log1p without a library that the interpreter lacks (W. Kahan): the rounding of
    # 1 - rest is undone by the quotient.
    u = 1.0 - rest
    change = tl.where(u == 1.0, 1.0, 1.0 - u)
    exponential = tl.where(u == 1.0, rest, -tl.log(u) * (rest / change))
    return -tl.log(exponential)
