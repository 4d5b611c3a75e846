"""A backend that remembers what was said: the simulator keeps times, and no tokens."""

from fairq.backend import Capacity, SyncBackend
from fairq.plan import StepPlan, StepResult
from fairq.request import RequestId
from fairq.tokens import TokenIds


class Recording:
    """Hands every call on, and notes the tokens of each prompt.

    Prompts must differ, or their answers run together.
    """

    def __init__(self, backend: SyncBackend) -> None:
        self._backend = backend
        self._prompts: dict[RequestId, TokenIds] = {}
        self.answers: dict[TokenIds, list[int]] = {}
        """Generated tokens, by prompt."""
        self.problem: Exception | None = None
        """What a step raised last; a simulation goes on as if it had not."""

    @property
    def capacity(self) -> Capacity:
        """Of the backend."""
        return self._backend.capacity

    def step(self, plan: StepPlan) -> StepResult:
        """Let the backend execute it. O(changes + sequences of the batch) on top."""
        try:
            result = self._backend.step(plan)
        except Exception as error:
            self.problem = error
            raise
        for enter in plan.enter:
            prompt = enter.tokens[: enter.prompt_length]
            self._prompts[enter.request_id] = prompt
            self.answers.setdefault(prompt, [])
        for name, token in result.tokens.items():
            self.answers[self._prompts[name]].append(token)
        return result

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()
