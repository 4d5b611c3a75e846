"""The executor, with steps that fail as late as they can."""

from typing import Any

from fairq import StepPlan
from fairq_backends.torch_paged import TorchPagedBackend


class Provoked(Exception):
    """A step was to fail."""


class Faulty(TorchPagedBackend):
    """Where ``fails`` was set, the next step raises with everything computed."""

    fails: bool = False

    def _compute(self, plan: StepPlan) -> Any:  # noqa: ANN401  # the type is private
        answer = super()._compute(plan)
        if self.fails:
            self.fails = False
            raise Provoked
        return answer
