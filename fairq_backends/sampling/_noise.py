"""Randomness without a state: noise as a function of (seed, position, token id).

A token that was drawn once is drawn again, whoever is in the batch, however the prompt
was cut, and after a preemption. The hash is uint32 arithmetic only (add, multiply,
xor, shift), so that a Triton kernel computes the same bits:

    round(x)  = triple32(x + 0x9E3779B9)
    row       = round(round(round(seed low) ^ seed high) ^ position)
    bits      = round(row ^ round(token id))

Two rows share one bit pattern at most by accident: what is combined with ``row`` is
scattered over all 32 bits before.

Sources: ``triple32`` is the three-round finaliser of C. Wellons, hash-prospector
(public domain, https://nullprogram.com/blog/2018/07/31/), exact bias 0.0209; the added
constant is 2**32 over the golden ratio, as in SplitMix (G. L. Steele, D. Lea and
C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), and keeps 0
from being a fixed point.
"""

from typing import Final

import torch
from torch import Tensor

WORD: Final = 2**32
GOLDEN: Final = 0x9E3779B9
SHIFTS: Final = (17, 11, 15, 14)
FACTORS: Final = (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB)

BELOW_ONE: Final = 1.0 - 2.0**-24
"""The largest fp32 below 1."""


def hash_bits(seeds: Tensor, positions: Tensor, token_ids: Tensor) -> Tensor:
    """Mix three integers into 32 bits, element by element.

    Args:
        seeds: int64, >= 0. The three shapes are broadcast against one another.
        positions: int64, 0..2**32-1.
        token_ids: int64, 0..2**32-1.

    Returns:
        int64 that holds a uint32, in the shape of all three together.

    Cost: one round for each element of the result, and a few for each of the inputs;
    so pass seeds and positions as columns and token ids as a row.
    """
    return _bits(seeds, positions, token_ids).to(torch.int64) & (WORD - 1)


def gumbel_noise(seeds: Tensor, positions: Tensor, token_ids: Tensor) -> Tensor:
    """Standard Gumbel noise, -log(-log(u)), element by element.

    Adding it to logits and taking the largest draws from their softmax (E. J. Gumbel,
    1954; "Gumbel-max"). Values are in -2.9..22.2: the upper tail, which decides, has
    the upper 31 bits; the lower is cut where u is below 2**-24.

    Args:
        seeds: As for ``hash_bits``.
        positions: As for ``hash_bits``.
        token_ids: As for ``hash_bits``.

    Returns:
        fp32 in the shape of all three together. An element depends on its three numbers
        only; between a CPU and a GPU logarithms may differ in the last bit.
    """
    # 31 bits, because a positive int32 is a float without a detour. The half keeps 0
    # away from the logarithm. What is made is 1 - u: it is fine-grained near 0, which
    # is where large noise comes from.
    rest = _logical(_bits(seeds, positions, token_ids), 1).to(torch.float32)
    rest.add_(0.5).mul_(2.0**-31).clamp_(max=BELOW_ONE)
    # log1p, also in a kernel: log(1 - v) has no digits left for the smallest v.
    exponential = rest.neg_().log1p_().neg_()
    return exponential.log_().neg_()


def _bits(seeds: Tensor, positions: Tensor, token_ids: Tensor) -> Tensor:
    """``hash_bits`` as int32 with the same bits: half the memory, native multiplies."""
    row = _round(_round(_word(seeds)) ^ _word(seeds >> 32))
    row = _round(row ^ _word(positions))
    return _round(row ^ _round(_word(token_ids)))


def _word(values: Tensor) -> Tensor:
    """The low 32 bits, as int32."""
    low = values.to(torch.int64) & (WORD - 1)
    return torch.where(low < WORD // 2, low, low - WORD).to(torch.int32)


def _signed(constant: int) -> int:
    return constant if constant < WORD // 2 else constant - WORD


def _round(values: Tensor) -> Tensor:
    """triple32 of values + GOLDEN. int32 sums and products wrap, as those of uint32."""
    mixed = values + _signed(GOLDEN)
    for shift, factor in zip(SHIFTS, FACTORS, strict=False):
        _fold(mixed, shift).mul_(_signed(factor))
    return _fold(mixed, SHIFTS[-1])


def _fold(values: Tensor, shift: int) -> Tensor:
    """Do values ^= values >> shift, in place."""
    return values.bitwise_xor_(_logical(values, shift))


def _logical(values: Tensor, shift: int) -> Tensor:
    """A right shift that brings in zeros; that of int32 brings in the sign."""
    return (values >> shift).bitwise_and_((1 << (32 - shift)) - 1)
