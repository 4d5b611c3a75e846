"""Plans by hand, and runs of a kernel, for tests of the reference backend."""

from collections.abc import Mapping
from typing import Any, Final

from fairq import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepId,
    StepPlan,
    StepResult,
    SyncBackend,
    TokenIds,
)
from tests.backends.reference._models import tiny_model

SMALL: Final[dict[str, Any]] = {
    "blocks": 24,
    "block_size": 4,
    "max_sequences": 5,
    "tokens_per_step": 12,
}
MODEL: Final = tiny_model()
A: Final = RequestId(0)
B: Final = RequestId(1)


def plan(
    step_id: int = 0,
    *,
    enter: tuple[Enter, ...] = (),
    chunks: tuple[Chunk, ...] = (),
    decodes: Mapping[RequestId, int] | None = None,
    leave: tuple[RequestId, ...] = (),
    grow: tuple[tuple[RequestId, BlockId], ...] = (),
) -> StepPlan:
    return StepPlan(
        step_id=StepId(step_id),
        leave=leave,
        grow=grow,
        enter=enter,
        chunks=chunks,
        decodes=DecodeSet({} if decodes is None else decodes),
    )


def entry(
    request_id: RequestId = A,
    tokens: tuple[int, ...] = (5, 6, 7),
    sampling: object = None,
    prompt_length: int | None = None,
) -> Enter:
    return Enter(
        request_id=request_id,
        slot=request_id,
        tokens=TokenIds(tokens),
        prompt_length=len(tokens) if prompt_length is None else prompt_length,
        blocks=(BlockId(request_id),),
        cached=0,
        sampling=sampling,
    )


def first_step(
    backend: SyncBackend, tokens: tuple[int, ...] = (5, 6, 7), sampling: object = None
) -> StepResult:
    """A prompt in one chunk."""
    chunk = Chunk(A, 0, len(tokens), samples=True)
    return backend.step(plan(enter=(entry(A, tokens, sampling),), chunks=(chunk,)))


def generated(
    backend: SyncBackend, *requests: Request, policy: Policy | None = None
) -> list[list[int]]:
    """What a kernel gets out of a backend, by request."""
    kernel = Kernel(backend.capacity, Policy() if policy is None else policy)
    made: dict[RequestId, list[int]] = {kernel.submit(each, 0): [] for each in requests}
    while not isinstance(due := kernel.plan(), Idle):
        for id_, token in kernel.commit(backend.step(due)).tokens.items():
            made[id_].append(token)
    return list(made.values())


def ask(prompt: list[int], count: int, sampling: object = None) -> Request:
    return Request(tenant="t", prompt=prompt, max_tokens=count, sampling=sampling)
