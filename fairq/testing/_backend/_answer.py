"""Whether one result answers one plan, as seen from the backend's side.

The kernel refuses most of this as well. Here the message is for the author.
"""

from collections.abc import Mapping, Sequence
from inspect import iscoroutine
from typing import Final

import attrs

from fairq._validators import is_integer
from fairq.plan import StepPlan, StepResult
from fairq.request import RequestId
from fairq.testing._backend import _obligations as owed
from fairq.testing._obligations import some
from fairq.testing._witness import sampled

MOST_TOKEN: Final = 2**31 - 1


@attrs.frozen
class AnswerCheck:
    """What one backend answered to one plan."""

    who: str
    """Name of the backend."""

    plan: StepPlan
    result: object

    left: Mapping[RequestId, int]
    """Who has left, and with which step."""

    def run(self) -> StepResult:
        """The result, when nothing is wrong with it.

        Raises:
            ObligationBroken: something is.
        """
        result = self._result()
        self._check_step(result)
        self._check_tokens(result.tokens)
        self._check_stopped(result)
        self._check_elapsed(result)
        return result

    def _result(self) -> StepResult:
        result = self.result
        if not isinstance(result, StepResult):
            if iscoroutine(result):
                result.close()  # nobody will await it
            expected = f"a StepResult for step {self.plan.step_id}"
            owed.RESULT.broken(self.who, expected, f"a {type(result).__name__}")
        return result

    def _check_step(self, result: StepResult) -> None:
        if not is_integer(result.step_id) or result.step_id != self.plan.step_id:
            expected = f"step_id {self.plan.step_id}"
            owed.STEP_ID.broken(self.who, expected, f"step_id {result.step_id!r}")

    # --- tokens ---------------------------------------------------------------------

    def _check_tokens(self, tokens: object) -> None:
        expected = sampled(self.plan)
        if not isinstance(tokens, Mapping):
            mapping = f"a mapping with tokens for {some(expected)}"
            owed.TOKENS.broken(self.who, mapping, type(tokens).__name__)
        gone = [id_ for id_ in tokens if id_ in self.left]
        if gone:
            self._refuse_gone(gone)
        missing = [id_ for id_ in expected if id_ not in tokens]
        extra = [id_ for id_ in tokens if id_ not in expected]
        if missing or extra:
            owed.TOKENS.broken(
                self.who,
                f"in step {self.plan.step_id} tokens for {some(expected)}",
                f"missing {some(missing)}, extra {some(map(self._extra, extra))}",
            )
        for id_, token in tokens.items():
            if not is_integer(token) or not 0 <= token <= MOST_TOKEN:
                what = f"{token!r} ({type(token).__name__}) in step {self.plan.step_id}"
                owed.TOKEN_IDS.broken(self.who, f"a token id for request {id_}", what)

    def _refuse_gone(self, gone: Sequence[RequestId]) -> None:
        left = some(f"{id_} (left with step {self.left[id_]})" for id_ in gone)
        step = self.plan.step_id
        owed.GONE.broken(self.who, f"no token for {left} in step {step}", "a token")

    def _extra(self, id_: object) -> str:
        """An id that should not be there, and why not."""
        if any(chunk.request_id == id_ for chunk in self.plan.chunks):
            return f"{id_} (its chunk does not sample)"
        return f"{id_!r} (it computes nothing in this step)"

    # --- the rest -------------------------------------------------------------------

    def _check_stopped(self, result: StepResult) -> None:
        expected = f"a tuple of some of {some(result.tokens)}"
        stopped = result.stopped
        if not isinstance(stopped, tuple):
            owed.STOPPED.broken(self.who, expected, repr(stopped))
        wrong = [id_ for id_ in stopped if id_ not in result.tokens]
        if wrong or len(dict.fromkeys(stopped)) < len(stopped):
            step = self.plan.step_id
            owed.STOPPED.broken(self.who, expected, f"{stopped!r} in step {step}")

    def _check_elapsed(self, result: StepResult) -> None:
        elapsed = result.elapsed_ns
        if not is_integer(elapsed) or elapsed < 0:
            owed.ELAPSED.broken(self.who, "nanoseconds, >= 0", f"{elapsed!r}")
