"""Refuses plans that make no sense, before anything is computed.

Slots and ``cached`` are not looked at, and blocks only for repetitions: a text that is
computed from its first token has no use for them. ``SimulatedBackend`` checks the
protocol to the letter.
"""

from collections.abc import Mapping
from typing import Final

import attrs

from fairq import BackendError, Chunk, Enter, RequestId, StepPlan
from fairq_backends.llama import LlamaConfig
from fairq_backends.reference._sequence import Sequence
from fairq_backends.sampling import SamplingParams

NAME: Final = "reference"
"""The name under which the backend is installed."""


@attrs.frozen(eq=False)
class PlanCheck:
    """One plan against the standing batch, which stays as it is."""

    plan: StepPlan
    batch: Mapping[RequestId, Sequence]
    config: LlamaConfig

    def run(self) -> dict[RequestId, Sequence]:
        """Check everything; the batch after ``leave`` and ``enter``.

        Raises:
            BackendError: the plan cannot be executed; the message names the request.
        """
        batch = dict(self.batch)
        for request_id in self.plan.leave:
            self._check_known(batch, request_id, "leaves")
            del batch[request_id]
        self._check_grow(batch)
        for enter in self.plan.enter:
            if enter.request_id in batch:
                raise self._refusal(enter.request_id, "enters, but is in the batch")
            batch[enter.request_id] = self._entering(enter)
        for chunk in self.plan.chunks:
            self._check_known(batch, chunk.request_id, "has a chunk")
            self._check_chunk(chunk, len(batch[chunk.request_id].text))
        for request_id in self.plan.decodes:
            self._check_known(batch, request_id, "decodes")
        return batch

    def _check_grow(self, batch: Mapping[RequestId, Sequence]) -> None:
        grown = set[RequestId]()
        for request_id, _ in self.plan.grow:
            self._check_known(batch, request_id, "grows")
            if request_id in grown:
                raise self._refusal(request_id, "grows twice, by one block at most")
            grown.add(request_id)

    def _check_known(
        self, batch: Mapping[RequestId, Sequence], request_id: RequestId, does: str
    ) -> None:
        if request_id not in batch:
            raise self._refusal(request_id, f"{does}, but is not in the batch")

    def _check_chunk(self, chunk: Chunk, known: int) -> None:
        end = chunk.start + chunk.length
        if end > known or chunk.samples != (end == known):
            what = f"samples if, and only if, its chunk ends at {known}; got {chunk}"
            raise self._refusal(chunk.request_id, what)

    def _entering(self, enter: Enter) -> Sequence:
        self._check_sizes(enter)
        vocabulary, room = self.config.vocab_size, self.config.context_length
        highest = max(enter.tokens)
        if highest >= vocabulary:
            what = f"needs token ids in 0..{vocabulary - 1}; got {highest}"
            raise self._refusal(enter.request_id, what)
        if len(enter.tokens) >= room:
            what = f"needs fewer than {room} tokens, the model's context; got"
            raise self._refusal(enter.request_id, f"{what} {len(enter.tokens)}")
        params = SamplingParams.parse(
            enter.sampling,
            request_id=enter.request_id,
            backend=NAME,
            step_id=self.plan.step_id,
        )
        return Sequence.entering(enter, params)

    def _check_sizes(self, enter: Enter) -> None:
        known, prompt = len(enter.tokens), enter.prompt_length
        if not 0 < prompt <= known:
            what = f"needs a prompt of 1..{known} of its {known} tokens; got"
            raise self._refusal(enter.request_id, f"{what} {prompt}")
        if len(set(enter.blocks)) < len(enter.blocks):
            what = f"needs a table without repetition; got {enter.blocks}"
            raise self._refusal(enter.request_id, what)

    def _refusal(self, request_id: RequestId, what: str) -> BackendError:
        msg = f"Request {request_id} {what}."
        return BackendError(msg, backend=NAME, step_id=self.plan.step_id)
