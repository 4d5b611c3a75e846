"""One token per row of logits."""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from fairq import BackendError, RequestId, StepId
from fairq_backends.sampling._filters import kept_tokens
from fairq_backends.sampling._noise import gumbel_noise
from fairq_backends.sampling._table import SamplingTable

NO_TOKEN: Final = -1
"""What ``draw`` gives for a row that no token can be drawn from."""


def draw(
    logits: Tensor, table: SamplingTable, slots: Tensor, positions: Tensor
) -> Tensor:
    """Draw a token for every row; greedy rows get their largest logit.

    Ties go to the lowest id. Otherwise the order is temperature, top-k, top-p, and the
    largest of what is left with Gumbel noise added. A row's token depends on its
    logits, its parameters and its position, bit for bit, and not on the other rows.

    Args:
        logits: Floating point (R, V). -inf rules a token out.
        table: Parameters by slot.
        slots: int64 (R).
        positions: int64 (R): the index that the drawn token will have in its sequence,
            which is the number of tokens before it. The first token after a prompt of
            n tokens has position n.

    Returns:
        int64 (R). ``NO_TOKEN`` where the largest logit is not a finite number (a NaN or
        inf in the row, or nothing but -inf): a model that overflows must fail its step
        and not say token 0. Nothing is raised here, because that would wait for the
        device; pass what arrives on the host to ``check_drawn``.

    Cost: one argmax when no slot of the table draws. Else two logarithms per logit of
    rows that do, what ``kept_tokens`` costs where it is asked for, and two waits for
    the device.
    """
    tokens = logits.argmax(dim=1)
    peaks = logits.gather(1, tokens[:, None])
    if not table.all_greedy:
        rows = torch.nonzero(table.temperature[slots] > 0)[:, 0]
        if rows.numel():
            drawn = _sampled(
                logits[rows].float() - peaks[rows].float(),
                table,
                slots[rows],
                positions[rows],
            )
            tokens = tokens.index_copy(0, rows, drawn)
    # argmax takes a NaN for the largest, so that the peak tells of every bad row.
    return torch.where(peaks[:, 0].isfinite(), tokens, NO_TOKEN)


def check_drawn(
    tokens: Sequence[int],
    request_ids: Sequence[RequestId],
    *,
    backend: str = "torch",
    step_id: StepId | None = None,
) -> None:
    """Refuse a step in which a row had no token.

    Args:
        tokens: What ``draw`` gave, on the host.
        request_ids: Whose, in the same order.
        backend: For ``BackendError.backend``.
        step_id: For ``BackendError.step_id``.

    Raises:
        BackendError: a token is ``NO_TOKEN``; the message names the request.
    """
    if NO_TOKEN in tokens:
        whose = request_ids[tokens.index(NO_TOKEN)]
        msg = (
            f"Request {whose}: the largest logit must be a finite number; it is NaN or "
            "infinite. Use a wider dtype, or check the weights of the model."
        )
        raise BackendError(msg, backend=backend, step_id=step_id)


def _sampled(
    shifted: Tensor, table: SamplingTable, slots: Tensor, positions: Tensor
) -> Tensor:
    """Gumbel-max over rows whose largest logit was made 0."""
    # Shifted first: a tiny temperature then gives 0 and -inf, and never inf.
    scaled = shifted / table.temperature[slots][:, None]
    ids = torch.arange(scaled.shape[1], device=scaled.device)
    noise = gumbel_noise(table.seed[slots][:, None], positions[:, None], ids[None, :])
    return _filtered(scaled, table, slots).add_(noise).argmax(dim=1)


def _filtered(scaled: Tensor, table: SamplingTable, slots: Tensor) -> Tensor:
    """The rows with -inf for what top-k and top-p rule out."""
    top_k, top_p = table.top_k[slots], table.top_p[slots]
    rows = torch.nonzero((top_k > 0) | (top_p < 1))[:, 0]
    if not rows.numel():
        return scaled
    kept = kept_tokens(scaled[rows], top_k[rows], top_p[rows])
    barred = scaled[rows].masked_fill(~kept, -torch.inf)
    return scaled.index_copy(0, rows, barred)
