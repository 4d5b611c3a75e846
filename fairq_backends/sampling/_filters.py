"""Top-k and top-p (nucleus) as a mask over the vocabulary.

Nucleus: A. Holtzman, J. Buys, L. Du, M. Forbes and Y. Choi, "The curious case of neural
text degeneration", ICLR 2020. First top-k, then top-p of what that leaves.

Probabilities are summed as integers: a sum of floats depends on its order, which on a
GPU depends on how many rows there are; a sum of integers does not.
"""

from typing import Final

import torch
from torch import Tensor

UNIT: Final = 2.0**40
"""What the most likely token weighs. Others are rounded down to whole units, so a token
2**40 times less likely has no weight in a nucleus. Sums stay below 2**63 for up to
2**22 tokens."""

HEAD: Final = 1024
"""Tokens that are looked at first. The choice is nearly always among them, and finding
them costs an eighth of a full sort (49,152 tokens, CPU)."""


def kept_tokens(
    scaled: Tensor, top_k: Tensor, top_p: Tensor, *, head: int = HEAD
) -> Tensor:
    """Which tokens a draw may choose: a set, that nothing but the row decides.

    Of equally likely tokens the lowest ids come first, at the edge as well.

    Args:
        scaled: fp32 (R, V), logits over temperature less their maximum: every row has
            the maximum 0. -inf is allowed, NaN not.
        top_k: int64 (R); 0 is off.
        top_p: fp32 (R); 1 is off.
        head: How many of the largest are looked at first; it changes nothing but time.

    Returns:
        bool (R, V), at least one True in every row.

    Cost: a selection of ``head`` values per row; of all values if its set is larger.
    """
    vocabulary = scaled.shape[1]
    most = torch.where(top_k == 0, vocabulary, top_k.clamp(max=vocabulary))
    count, values = _cut(scaled, most, top_p, min(head, vocabulary))
    # Whoever's set may reach beyond the head; asking for them waits for a GPU.
    beyond = torch.nonzero(count > values.shape[1])[:, 0]
    edge = values.gather(1, count.clamp(max=values.shape[1])[:, None] - 1)
    if beyond.numel():
        rows = scaled[beyond]
        full, sorted_rows = _cut(rows, most[beyond], top_p[beyond], vocabulary)
        count = count.index_copy(0, beyond, full)
        edge = edge.index_copy(0, beyond, sorted_rows.gather(1, full[:, None] - 1))
    return _first(scaled, edge, count[:, None])


def _cut(
    scaled: Tensor, most: Tensor, top_p: Tensor, head: int
) -> tuple[Tensor, Tensor]:
    """How many tokens are kept, and the ``head`` largest values in order.

    A count above ``head`` says that the values do not reach far enough to tell.
    """
    values = scaled.topk(head, dim=1).values
    sums = _weights(values).cumsum(dim=1)
    within = most <= head
    total = sums.gather(1, most.clamp(max=head)[:, None] - 1)[:, 0]
    if not bool(within.all()):
        total = torch.where(within, total, _weights(scaled).sum(dim=1))
    target = top_p.to(torch.float64) * total.to(torch.float64)
    short = (sums.to(torch.float64) < target[:, None]).sum(dim=1) + 1
    nucleus = torch.where(top_p < 1, short, most)
    # Top-k between the head and V leaves a mass that these values cannot tell.
    known = within | (most == scaled.shape[1])
    return torch.where(known, torch.minimum(nucleus, most), head + 1), values


def _weights(scaled: Tensor) -> Tensor:
    """Probabilities in whole units, where the largest is ``UNIT``."""
    return (scaled.exp() * UNIT).to(torch.int64)


def _first(scaled: Tensor, edge: Tensor, count: Tensor) -> Tensor:
    """The ``count`` largest, given the smallest of them; lowest ids among equals."""
    kept = scaled >= edge
    surplus = kept.sum(dim=1, keepdim=True) - count
    tied = torch.nonzero(surplus)[:, 0]
    if tied.numel():
        # The last of those at the edge go.
        level = scaled[tied] == edge[tied]
        room = level.sum(dim=1, keepdim=True) - surplus[tied]
        kept[tied] &= ~level | (level.cumsum(dim=1) <= room)
    return kept
