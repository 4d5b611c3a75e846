"""A backend of a tiny model, and plans by hand, for tests of the executor."""

from typing import Any, Final

import attrs
from torch import Tensor

from fairq import Enter, RequestId, StepResult
from fairq_backends.llama import Model
from fairq_backends.torch_paged import TorchPagedBackend
from tests.backends._plans import chunk, enter, plan
from tests.backends.reference._models import tiny_model

MODEL: Final = tiny_model()
PROMPT: Final = tuple(range(5, 16))

SMALL: Final[dict[str, Any]] = {
    "device": "cpu",
    "blocks": 24,
    "block_size": 4,
    "max_sequences": 4,
    "tokens_per_step": 64,
    "keep_logits": True,
}


def small(model: Model = MODEL, **options: object) -> TorchPagedBackend:
    return TorchPagedBackend(model=model, **{**SMALL, **options})


def entry(
    name: int,
    prompt: tuple[int, ...] = PROMPT,
    blocks: tuple[int, ...] = (0, 1, 2),
    *,
    cached: int = 0,
    slot: int | None = None,
    sampling: object = None,
) -> Enter:
    made = enter(name, prompt, blocks, slot=slot, sampling=sampling)
    return attrs.evolve(made, cached=cached)


def first(
    backend: TorchPagedBackend,
    made: Enter | None = None,
    *,
    step_id: int = 0,
    start: int = 0,
) -> tuple[StepResult, Tensor]:
    """Enter and compute the prompt in one chunk; the logits too."""
    made = entry(0) if made is None else made
    name, length = made.request_id, len(made.tokens) - start
    result = backend.step(
        plan(step_id, enter=[made], chunks=[chunk(name, start, length)])
    )
    return result, backend.logits[name]


def decoded(backend: TorchPagedBackend, step_id: int, *names: int) -> list[Tensor]:
    """One decode for those, in the slots of their own numbers; their logits."""
    backend.step(plan(step_id, decodes=names))
    return [backend.logits[RequestId(name)] for name in names]
