"""Requests through a kernel and the executor."""

import time
from collections.abc import Mapping

import attrs
import torch

from fairq import (
    Admission,
    Capacity,
    Chunk,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    TokenIds,
)
from fairq_backends.torch_paged import TorchPagedBackend

__all__ = ["StandingBatch", "Times", "prompts", "submit"]


def prompts(count: int, length: int, vocabulary: int) -> list[list[int]]:
    """Random ones, always the same."""
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, vocabulary, (count, length), generator=generator)
    return [row.tolist() for row in drawn]


def submit(kernel: Kernel, texts: list[list[int]], output: int) -> list[RequestId]:
    """All at once; nobody ends before ``output`` tokens."""
    return [
        kernel.submit(
            Request(
                tenant=f"tenant {number % 4}",
                prompt=TokenIds(text),
                max_tokens=output,
                sampling={"ignore_eos": True},
            )
        )
        for number, text in enumerate(texts)
    ]


@attrs.frozen
class Times:
    """Of one step, in seconds."""

    step: float
    kernel: float
    """Plan and commit."""


@attrs.define(eq=False)
class StandingBatch:
    """A batch in the middle of its texts, whose prompts were never computed.

    What is in the cache makes no difference to the time, so it holds random numbers and
    the plans say that all but the last position of each prompt is cached.
    """

    backend: TorchPagedBackend
    kernel: Kernel
    batch: int
    lengths: list[int]
    """Positions of each at first; a block is full somewhere in every step."""
    steps: int = 0

    @classmethod
    def of(
        cls, backend: TorchPagedBackend, *, batch: int, context: int, output: int
    ) -> "StandingBatch":
        """Fill the batch; ``output`` is how many steps there may be."""
        size = backend.capacity.block_size
        lengths = [context - number % size for number in range(batch)]
        whole = attrs.evolve(backend.capacity, tokens_per_step=batch * (context + 1))
        kernel = Kernel(whole, Policy(admission=Admission.RESERVE))
        vocabulary = backend._limits.vocab_size
        texts = prompts(batch, context, vocabulary)
        cut = [text[:length] for text, length in zip(texts, lengths, strict=True)]
        submit(kernel, cut, output)
        made = cls(backend, kernel, batch, lengths)
        made._enter()
        return made

    @staticmethod
    def capacity(batch: int, most: int, block_size: int) -> Capacity:
        """Room for so many sequences of so many positions."""
        blocks = batch * (most // block_size + 2)
        return Capacity(blocks=blocks, block_size=block_size, max_sequences=batch)

    def step(self) -> Times:
        """One step in which everybody decodes."""
        begun = time.perf_counter()
        plan = self.kernel.plan()
        planned = time.perf_counter()
        if not isinstance(plan, StepPlan) or len(plan.decodes) != self.batch:
            msg = f"expected a step of {self.batch} decodes, got {plan}"
            raise RuntimeError(msg)
        result = self.backend.step(plan)
        stepped = time.perf_counter()
        self.kernel.commit(result)
        self.steps += 1
        ended = time.perf_counter()
        return Times(ended - begun, ended - stepped + planned - begun)

    def logits(self, steps: int) -> torch.Tensor:
        """Of the next steps, (steps, batch, vocabulary), on the host."""
        self.backend.keep_logits = True
        kept = []
        for _ in range(steps):
            self.step()
            kept.append(_ordered(self.backend.logits))
        self.backend.keep_logits = False
        return torch.stack(kept)

    @property
    def positions(self) -> int:
        """Of all contexts together."""
        return sum(self.lengths) + self.batch * self.steps

    def _enter(self) -> None:
        pool = self.backend._batch.pool
        generator = torch.Generator(pool.keys.device).manual_seed(2)
        pool.keys.normal_(generator=generator)
        pool.values.normal_(generator=generator)
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan) or len(plan.chunks) != self.batch:
            msg = f"expected all {self.batch} to enter at once, got {plan}"
            raise RuntimeError(msg)
        self.kernel.commit(
            self.backend.step(_cached(plan, self.backend.capacity.block_size))
        )


def _ordered(logits: Mapping[RequestId, torch.Tensor]) -> torch.Tensor:
    return torch.stack([logits[name] for name in sorted(logits)]).cpu()


def _cached(plan: StepPlan, block_size: int) -> StepPlan:
    """The plan as if all prompts were cached but for the block of their last token."""
    enter, chunks = [], []
    for each in plan.enter:
        cached = (len(each.tokens) - 1) // block_size * block_size
        length = len(each.tokens) - cached
        enter.append(attrs.evolve(each, cached=cached))
        chunks.append(Chunk(each.request_id, cached, length, samples=True))
    return attrs.evolve(plan, enter=tuple(enter), chunks=tuple(chunks))
