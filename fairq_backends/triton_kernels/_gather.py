"""Attention as it stands in the book, over keys gathered from their blocks."""

from math import e, log, log2

import torch
from torch import Tensor

__all__ = ["attend_rows", "gathered", "scores_of"]


def gathered(pool: Tensor, table: Tensor, length: int) -> Tensor:
    """The first ``length`` positions of one sequence: (length, Hkv, D), float32."""
    p = torch.arange(length, device=pool.device)
    size = pool.shape[2]
    rows: Tensor = pool[table[p // size].long(), :, p % size].float()
    return rows


def scores_of(q: Tensor, keys: Tensor) -> Tensor:
    """Scores of one row in base 2, (Hq, D) with (L, Hkv, D) to (Hq, L)."""
    heads, dim = q.shape
    group = heads // keys.shape[1]
    many = keys.repeat_interleave(group, dim=1)
    scale: float = dim**-0.5 * log2(e)
    return torch.einsum("hd,lhd->hl", q.float(), many) * scale


def attend_rows(
    q: Tensor, keys: Tensor, values: Tensor, tables: Tensor, positions: Tensor
) -> Tensor:
    """(R, Hq, D) with a table and a position for each row, to (R, Hq, D) float32."""
    out = q.new_zeros(q.shape, dtype=torch.float32)
    group = q.shape[1] // keys.shape[1]
    for row, position in enumerate(positions.tolist()):
        length = position + 1
        scores = scores_of(q[row], gathered(keys, tables[row], length))
        weights = torch.softmax(scores * log(2), dim=1)
        many = gathered(values, tables[row], length).repeat_interleave(group, dim=1)
        out[row] = torch.einsum("hl,lhd->hd", weights, many)
    return out
