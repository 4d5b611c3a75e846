"""Runs of a ``RecordingKernel`` that tests of journals and of replays begin with."""

import pytest

from fairq import (
    Capacity,
    Request,
    RequestId,
    RequestRejected,
    StepId,
    StepPlan,
    StepResult,
    UsageError,
)
from fairq.testing import RecordingKernel

ROOM = Capacity(blocks=8, block_size=4, max_sequences=2, tokens_per_step=16)


def request(length: int = 3, max_tokens: int = 2) -> Request:
    prompt = range(1, length + 1)
    return Request(tenant="a", prompt=prompt, max_tokens=max_tokens)


def planned() -> tuple[RecordingKernel, StepPlan]:
    """Request 0 samples in step 0."""
    kernel = RecordingKernel(ROOM)
    kernel.submit(request())
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    return kernel, plan


def busy() -> RecordingKernel:
    """Every kind of call, and an outcome of every kind."""
    kernel, plan = planned()
    kernel.plan()
    with pytest.raises(UsageError):
        kernel.commit(StepResult(StepId(9), {}))
    with pytest.raises(RequestRejected):
        kernel.submit(request(99))
    kernel.fail(plan.step_id)
    kernel.submit(request(), 7)
    kernel.cancel(RequestId(1))
    again = kernel.plan(now_ns=9)
    assert isinstance(again, StepPlan)
    kernel.commit(StepResult(again.step_id, {RequestId(0): 5}, (RequestId(0),)))
    return kernel
