"""Backends that answer wrongly, each in one way."""

from typing import Any, cast

from fairq import (
    Enter,
    RequestId,
    StepId,
    StepPlan,
    StepResult,
)
from fairq.testing._backend import _obligations as owed
from fairq.testing._obligations import Obligation
from tests.testing.backends import Good


class CountsSteps(Good):
    """Takes its own number for the id of the step."""

    count = -1

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        del plan
        self.count += 1
        return StepResult(StepId(self.count), tokens)


class AnswersAgain(Good):
    """Gives the last answer once more."""

    last: StepResult | None = None

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        before, self.last = self.last, StepResult(plan.step_id, tokens)
        return before if before is not None and plan.step_id == 2 else self.last


class AnswersForEver(Good):
    """Its answer claims to be that to any plan."""

    class AnyId(int):
        """Equal to every number."""

        __hash__ = int.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(cast("StepId", self.AnyId(plan.step_id)), tokens)


class LosesOne(Good):
    """Forgets the token of the last one when there are three."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        if len(tokens) >= 3:
            tokens.popitem()
        return StepResult(plan.step_id, tokens)


class SamplesEarly(Good):
    """Yields a token for each chunk."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        extra = {c.request_id: 1 for c in plan.chunks if not c.samples}
        return StepResult(plan.step_id, {**tokens, **extra})


class ServesTheGone(Good):
    """Goes on with whoever has left until the slot is needed."""

    def compute(self, plan: StepPlan) -> dict[RequestId, int]:
        return {**dict.fromkeys(plan.leave, 3), **super().compute(plan)}


class ListsTokens(Good):
    """Gives tokens without names."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(plan.step_id, cast("Any", list(tokens.values())))


class OneMapping(Good):
    """Uses the same dict in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[RequestId, int] = {}

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        self.tokens.clear()
        self.tokens.update(tokens)
        return StepResult(plan.step_id, self.tokens)


class PopsDecodes(Good):
    """Takes decodes out of the plan as it goes."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        cast("dict[RequestId, int]", plan.decodes._slots).clear()
        return StepResult(plan.step_id, tokens)


class PopsSampling(Good):
    """Takes options out of the request as it reads them."""

    def enter(self, enter: Enter) -> None:
        super().enter(enter)
        if isinstance(enter.sampling, dict):
            enter.sampling.pop("seed", None)


class KeepsDecodes(Good):
    """Looks at who decoded in the step before, in the view of that plan."""

    before: StepPlan | None = None

    def compute(self, plan: StepPlan) -> dict[RequestId, int]:
        stay = [id_ for id_ in (self.before.decodes if self.before else ()) if id_]
        self.before = plan
        if len(plan.decodes) > 2 and not stay:
            msg = "nobody decoded before"
            raise RuntimeError(msg)
        return super().compute(plan)


class HugeToken(Good):
    """Says 2**31."""

    def positions(self, id_: RequestId, start: int, length: int) -> int:
        super().positions(id_, start, length)
        return 2**31


class FloatToken(Good):
    """Says 1.0."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(plan.step_id, cast("Any", dict.fromkeys(tokens, 1.0)))


class StopsLate(Good):
    """Says one step later that somebody has stopped."""

    due: tuple[RequestId, ...] = ()

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        due, self.due = self.due, tuple(tokens)[:1]
        return StepResult(plan.step_id, tokens, due)


class StopsList(Good):
    """Says in a list who has stopped."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(plan.step_id, tokens, cast("Any", []))


class FloatTime(Good):
    """Says seconds."""

    def answer(self, plan: StepPlan, tokens: dict[RequestId, int]) -> StepResult:
        return StepResult(plan.step_id, tokens, elapsed_ns=cast("Any", 0.25))


class SaysNothing(Good):
    """Has no answer."""

    def step(self, plan: StepPlan) -> StepResult:
        super().step(plan)
        return cast("StepResult", None)


class HalfCoroutine(Good):
    """A plain function that returns a coroutine."""

    def step(self, plan: StepPlan) -> StepResult:
        return cast("StepResult", self._later(plan))

    async def _later(self, plan: StepPlan) -> StepResult:
        return self.run(plan)


BAD_ANSWERS: dict[type[Good], tuple[Obligation, str]] = {
    CountsSteps: (owed.STEP_ID, "step_id"),
    AnswersAgain: (owed.STEP_ID, "Got: step_id 1"),
    AnswersForEver: (owed.ANSWERED, "it was accepted"),
    LosesOne: (owed.TOKENS, "missing 2, extra none"),
    SamplesEarly: (owed.TOKENS, "extra 0 (its chunk does not sample)"),
    ServesTheGone: (owed.GONE, "no token for 0 (left with step"),
    ListsTokens: (owed.TOKENS, "Got: list"),
    OneMapping: (owed.KEPT, "the result of step 0 stays step_id=0, tokens={0:"),
    PopsDecodes: (owed.PLAN, "decodes became []"),
    KeepsDecodes: (owed.BATCHED, "nobody decoded before"),
    HugeToken: (owed.TOKEN_IDS, "2147483648 (int) in step 0"),
    FloatToken: (owed.TOKEN_IDS, "1.0 (float) in step 0"),
    StopsLate: (owed.STOPPED, "Expected: a tuple of some of"),
    StopsList: (owed.STOPPED, "Got: []"),
    FloatTime: (owed.ELAPSED, "Got: 0.25"),
    SaysNothing: (owed.RESULT, "Got: a NoneType"),
    HalfCoroutine: (owed.RESULT, "Got: a coroutine"),
}
"""What each of them breaks, and what it is told."""
