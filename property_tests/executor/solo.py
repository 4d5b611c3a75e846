"""What a request gets that has the machine for itself, its prompt in one chunk."""

from functools import cache
from typing import Final

import attrs
from torch import Tensor

from fairq import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    RequestId,
    StepId,
    StepPlan,
    TokenIds,
)
from fairq_backends.llama import Model
from fairq_backends.torch_paged import TorchPagedBackend
from property_tests.executor.models import Asked, model_of

NAME: Final = RequestId(0)
BLOCK: Final = 16


@attrs.frozen(eq=False)
class Outcome:
    """Tokens, and the logits that each was drawn from."""

    tokens: list[int] = attrs.field(factory=list)
    logits: list[Tensor] = attrs.field(factory=list)


@attrs.define(eq=False)
class Solo:
    """A backend that serves one request at a time, and remembers what came."""

    backend: TorchPagedBackend
    outcomes: dict[Asked, Outcome] = attrs.field(factory=dict)
    steps: int = 0

    @classmethod
    def of(cls, model: Model, dtype: str, mode: str = "exact") -> "Solo":
        """A fresh one with room for the model's whole context."""
        context = model.config.context_length
        backend = TorchPagedBackend(
            model=model,
            dtype=dtype,
            mode=mode,
            device="cpu",
            blocks=-(-context // BLOCK),
            block_size=BLOCK,
            max_sequences=1,
            tokens_per_step=context,
            keep_logits=True,
        )
        return cls(backend)

    def outcome(self, asked: Asked) -> Outcome:
        """Everything up to its last token."""
        if asked not in self.outcomes:
            self.outcomes[asked] = self._run(asked)
        return self.outcomes[asked]

    def _run(self, asked: Asked) -> Outcome:
        outcome = Outcome()
        length = len(asked.prompt)
        blocks = range(-(-(length + asked.count) // BLOCK))
        enter = Enter(
            request_id=NAME,
            slot=0,
            tokens=TokenIds(asked.prompt),
            prompt_length=length,
            blocks=tuple(BlockId(block) for block in blocks),
            cached=0,
            sampling=asked.sampling,
        )
        chunk = Chunk(NAME, 0, length, samples=True)
        done = self._step(outcome, enter=(enter,), chunks=(chunk,))
        while not done and len(outcome.tokens) < asked.count:
            done = self._step(outcome, decodes=DecodeSet({NAME: 0}))
        self._step(None, leave=(NAME,))
        return outcome

    def _step(
        self,
        outcome: Outcome | None,
        *,
        leave: tuple[RequestId, ...] = (),
        enter: tuple[Enter, ...] = (),
        chunks: tuple[Chunk, ...] = (),
        decodes: DecodeSet | None = None,
    ) -> bool:
        """One step; whether the request stopped by itself."""
        plan = StepPlan(
            step_id=StepId(self.steps),
            leave=leave,
            grow=(),
            enter=enter,
            chunks=chunks,
            decodes=DecodeSet({}) if decodes is None else decodes,
        )
        self.steps += 1
        result = self.backend.step(plan)
        if outcome is not None:
            outcome.tokens.append(result.tokens[NAME])
            outcome.logits.append(self.backend.logits[NAME])
        return NAME in result.stopped


@cache
def solo_of(shape: str, dtype: str) -> Solo:
    """The exact one of a tiny model, shared by all tests."""
    return Solo.of(model_of(shape), dtype)
