"""A backend for tests: constant step time, faults and wrong answers on demand."""

from collections.abc import Collection

from fairq.backend import Capacity
from fairq.plan import StepPlan, StepResult
from fairq.request import RequestId
from fairq.testing._witness import sampled

SECOND = 10**9


class Machine:
    """Every step takes as long; a sequence stops after the length it was given."""

    def __init__(
        self,
        *,
        blocks: int = 1000,
        block_size: int = 16,
        max_sequences: int = 64,
        step_ns: int = SECOND,
        faults: Collection[int] = (),
    ) -> None:
        self.capacity = Capacity(
            blocks=blocks, block_size=block_size, max_sequences=max_sequences
        )
        self.plans: list[StepPlan] = []
        self.step_ns = step_ns
        self._faults = faults
        self._left: dict[RequestId, int] = {}

    def step(self, plan: StepPlan) -> StepResult:
        self.plans.append(plan)
        if len(self.plans) - 1 in self._faults:
            msg = "out of luck"
            raise RuntimeError(msg)
        for request_id in plan.leave:
            self._left.pop(request_id, None)
        for enter in plan.enter:
            assert isinstance(enter.sampling, dict)
            produced = len(enter.tokens) - enter.prompt_length
            self._left[enter.request_id] = enter.sampling["output_tokens"] - produced
        tokens = dict.fromkeys(sampled(plan), 7)
        for request_id in tokens:
            self._left[request_id] -= 1
        stopped = tuple(name for name in tokens if self._left[name] == 0)
        return StepResult(plan.step_id, tokens, stopped, self.step_ns)

    def close(self) -> None:
        pass
