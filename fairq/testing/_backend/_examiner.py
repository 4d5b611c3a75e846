"""One backend, every answer of which is looked at."""

from collections import deque
from collections.abc import Callable, Mapping
from inspect import iscoroutine
from typing import NoReturn

import attrs

from fairq.backend import Backend, Capacity
from fairq.plan import Enter, StepPlan, StepResult
from fairq.request import RequestId
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._answer import AnswerCheck
from fairq.testing._backend._deal import Deal, Names
from fairq.testing._backend._host import Host, Overdue
from fairq.testing._obligations import Obligation, raised, some


@attrs.frozen
class Said:
    """A result, and what it said when it came."""

    result: StepResult
    step_id: int
    tokens: Mapping[RequestId, int]
    stopped: tuple[RequestId, ...]

    @classmethod
    def of(cls, result: StepResult) -> "Said":
        """Note a result."""
        return cls(result, result.step_id, dict(result.tokens), result.stopped)

    def differs(self) -> bool:
        """Whether it says something else now."""
        now = self.result
        told = (now.step_id, dict(now.tokens), now.stopped)
        return told != (self.step_id, self.tokens, self.stopped)


class Examiner:
    """Hands plans to a backend and looks at what comes back.

    Args:
        backend: A fresh one.
        host: Where its steps run.
        who: Its name, for messages.
        names: What slots and blocks are to be called.
        limit_s: How long a step may take.
    """

    def __init__(
        self, backend: Backend, host: Host, who: str, names: Names, limit_s: float
    ) -> None:
        self.backend = backend
        self.steps = 0
        self._host = host
        self._who = who
        self._names = names
        self._limit_s = limit_s
        self._capacity: Capacity = backend.capacity
        self._left: dict[RequestId, int] = {}
        # A kernel looks into the results of the last block_size steps.
        self._recent: deque[Said] = deque(maxlen=self._capacity.block_size + 1)

    def step(self, plan: StepPlan, blame: Obligation) -> StepResult:
        """Execute a plan.

        Args:
            plan: The kernel's; the backend gets a copy.
            blame: What is broken if the backend raises.

        Raises:
            ObligationBroken: the backend has done something that it must not.
        """
        deal = Deal(plan, self._names)
        try:
            result = self._call(deal.plan)
        except Overdue:
            self._overdue(plan, "ends")
        except Exception as error:  # noqa: BLE001  # whatever a backend raises
            self._refuse(plan, blame, error)
        self._check_plan(deal)
        checked = self._check_result(plan, result)
        deal.expire()
        self.steps += 1
        return checked

    def fail(self, plan: StepPlan) -> str | None:
        """Execute a plan that is to fail; what it raised, or None.

        Raises:
            ObligationBroken: the backend has done something that it must not.
        """
        deal = Deal(plan, self._names)
        try:
            result = self._call(deal.plan)
        except Overdue:
            self._overdue(plan, "fails")
        except Exception as error:  # noqa: BLE001  # as above
            self._check_plan(deal)
            return raised(error)
        if iscoroutine(result):
            result.close()
        return None

    def call(self, function: Callable[[], object]) -> object:
        """Run a function where the steps run; what it returns is not awaited."""
        return self._host.call(lambda: (function(),), self._limit_s)[0]

    def close(self) -> None:
        """Close the backend.

        Raises:
            ObligationBroken: it cannot be closed, or has changed an old result.
        """
        self._check_recent()
        expected = "close() returns None"
        try:
            result = self.call(self.backend.close)
        except Overdue:
            owed.ENDS.broken(self._who, "close() ends", "it is still running")
        except Exception as error:  # noqa: BLE001  # as above
            owed.CLOSED.broken(self._who, expected, f"it raised {raised(error)}")
        if iscoroutine(result):
            result.close()
            owed.CLOSED.broken(self._who, expected, "a coroutine, which nobody awaits")
        if result is not None:
            owed.CLOSED.broken(self._who, expected, repr(result))

    # --- looking --------------------------------------------------------------------

    def _call(self, plan: StepPlan) -> object:
        return self._host.call(lambda: self.backend.step(plan), self._limit_s)

    def _overdue(self, plan: StepPlan, does: str) -> NoReturn:
        expected = f"step {plan.step_id} {does} within {self._limit_s:g} s"
        owed.ENDS.broken(self._who, expected, "no answer")

    def _refuse(self, plan: StepPlan, blame: Obligation, error: Exception) -> NoReturn:
        expected = f"step {plan.step_id} is executed ({_changes(plan)})"
        try:
            blame.broken(self._who, expected, f"it raised {raised(error)}")
        except AssertionError as broken:
            raise broken from error

    def _check_plan(self, deal: Deal) -> None:
        changed = deal.changed()
        if changed is not None:
            expected, actual = changed
            step = deal.plan.step_id
            owed.PLAN.broken(self._who, f"in step {step} {expected}", actual)

    def _check_result(self, plan: StepPlan, result: object) -> StepResult:
        self._left.update(dict.fromkeys(plan.leave, plan.step_id))
        for enter in plan.enter:
            self._left.pop(enter.request_id, None)
        checked = AnswerCheck(self._who, plan, result, self._left).run()
        self._check_recent()
        self._check_capacity()
        self._recent.append(Said.of(checked))
        return checked

    def _check_recent(self) -> None:
        for said in self._recent:
            if said.differs():
                expected = f"the result of step {said.step_id} stays {_shown(said)}"
                now = _shown(Said.of(said.result))
                owed.KEPT.broken(self._who, expected, f"it became {now}")

    def _check_capacity(self) -> None:
        capacity = self.backend.capacity
        if capacity != self._capacity:
            owed.CAPACITY.broken(self._who, f"{self._capacity}", f"now {capacity}")


def _shown(said: Said) -> str:
    tokens = dict(said.tokens)
    return f"step_id={said.step_id}, tokens={tokens}, stopped={said.stopped}"


def _changes(plan: StepPlan) -> str:
    """What a plan asks for, in a few words."""
    parts: dict[str, list[object]] = {
        "leave": list(plan.leave),
        "grow": [f"{id_} by {block}" for id_, block in plan.grow],
        "enter": [_entering(enter) for enter in plan.enter],
        "chunks": [f"{c.request_id}: {c.start} + {c.length}" for c in plan.chunks],
        "decodes": list(plan.decodes),
        "shared": [f"{list(run.blocks)} by {some(run.members)}" for run in plan.shared],
    }
    said = [
        f"{name} {'; '.join(map(str, each))}" for name, each in parts.items() if each
    ]
    return ", ".join(said)


def _entering(enter: Enter) -> str:
    where = f"in slot {enter.slot} with blocks {list(enter.blocks)}"
    cached = f" and {enter.cached} tokens cached" if enter.cached else ""
    return f"{enter.request_id} {where}{cached}"
