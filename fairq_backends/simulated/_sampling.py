"""What the simulated backend understands of ``Request.sampling``."""

from collections.abc import Mapping
from typing import Final

from fairq import BackendError, Enter, StepId
from fairq_backends.simulated._errors import NAME

OUTPUT_TOKENS: Final = "output_tokens"


def output_limit(enter: Enter, step_id: StepId) -> int | None:
    """After how many output tokens the sequence ends by itself; None for never.

    Raises:
        BackendError: ``sampling`` is neither None nor ``{"output_tokens": n}``, n >= 1.
    """
    sampling = enter.sampling
    if sampling is None:
        return None
    if not isinstance(sampling, Mapping) or sampling.keys() - {OUTPUT_TOKENS}:
        raise _refusal(enter, step_id)
    limit = sampling.get(OUTPUT_TOKENS)
    if limit is None and not sampling:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise _refusal(enter, step_id)
    return limit


def _refusal(enter: Enter, step_id: StepId) -> BackendError:
    msg = (
        f"Request {enter.request_id}: sampling must be None or "
        f"{{'output_tokens': n}} with an integer n >= 1; got {enter.sampling!r}."
    )
    return BackendError(msg, backend=NAME, step_id=step_id)
