"""Does to a kernel what a server would: moves that were made up beforehand."""

import contextlib
from collections.abc import Iterable
from typing import Final

import attrs

from fairq.backend import Capacity
from fairq.errors import RequestRejected, UsageError
from fairq.kernel import Idle
from fairq.plan import StepId, StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.testing._transcript._journal import Journal, RecordingKernel
from fairq.testing._witness import Witness

MOST_STEPS: Final = 10_000
"""Far more than the largest run needs to come to its end."""
NOBODY: Final = RequestId(10**6)


# --- moves ----------------------------------------------------------------------------


@attrs.frozen
class Ask:
    """Submit a request, some times."""

    request: Request
    count: int = 1


@attrs.frozen
class End:
    """Cancel a request that was submitted, modulo how many were."""

    which: int


@attrs.frozen
class Wait:
    """Some nanoseconds pass."""

    ns: int


@attrs.frozen
class Begin:
    """Have a plan outstanding."""


@attrs.frozen
class Steps:
    """Some steps, nobody interfering. Leaves a plan outstanding."""

    count: int


@attrs.frozen
class Stop:
    """A step in which a sequence ends early, modulo how many could."""

    which: int


@attrs.frozen
class Break:
    """A step that fails."""


@attrs.frozen
class Mistake:
    """An answer for somebody who was not asked."""


Move = Ask | End | Wait | Begin | Steps | Stop | Break | Mistake


# --- making them ----------------------------------------------------------------------


class Driver:
    """A recording kernel, a witness that answers its plans, and a clock.

    Args:
        capacity: Of the kernel.
        policy: Of the kernel.
        vocabulary: Made-up tokens are below it.
    """

    def __init__(self, capacity: Capacity, policy: Policy, vocabulary: int) -> None:
        self._kernel = RecordingKernel(capacity, policy)
        self._witness = Witness(capacity)
        self._vocabulary = vocabulary
        self._plan: StepPlan | None = None
        self._submitted = 0
        self._now_ns = 0

    def run(self, moves: Iterable[Move], *, hasty: bool) -> Journal:
        """Make moves as far as they can be made, then go on until nothing is left.

        Args:
            moves: What is done.
            hasty: A first request ends at once, and an optimistic kernel expects the
                same of all others; so it admits too many, and preempts.
        """
        if hasty:
            self._submit(Request(tenant="hasty", prompt=[1], max_tokens=1))
            self._steps(1)
        for move in moves:
            self._make(move)
        self._steps(MOST_STEPS)
        if self._plan is not None:
            msg = f"Not done after {MOST_STEPS} steps: {self._kernel!r}."
            raise AssertionError(msg)
        return self._kernel.journal

    def _make(self, move: Move) -> None:
        match move:
            case Ask():
                for _ in range(move.count):
                    self._submit(move.request)
            case End():
                which = move.which % max(1, self._submitted)
                self._kernel.cancel(RequestId(which))
            case Wait():
                self._now_ns += move.ns
            case _:
                self._begin()
                self._go_on(move)

    def _go_on(self, move: Begin | Steps | Stop | Break | Mistake) -> None:
        match move:
            case Steps():
                self._steps(move.count)
            case Stop():
                self._answer(move.which)
            case Break():
                self._fail()
            case Mistake():
                self._mistake()
            case Begin():
                pass

    def _submit(self, request: Request) -> None:
        with contextlib.suppress(RequestRejected):
            self._kernel.submit(request, self._now_ns)
            self._submitted += 1

    def _begin(self) -> None:
        if self._plan is None:
            plan = self._kernel.plan()
            self._plan = None if isinstance(plan, Idle) else plan

    def _steps(self, count: int) -> None:
        """Up to so many steps, and the plan of the next."""
        self._begin()
        for _ in range(count):
            if self._plan is None:
                return
            self._answer()
            self._begin()

    def _answer(self, stop: int | None = None) -> None:
        plan, self._plan = self._plan, None
        if plan is None:
            return
        made = self._witness.answer(plan)
        tokens = {id_: token % self._vocabulary for id_, token in made.items()}
        stopped: tuple[RequestId, ...] = ()
        if stop is not None and tokens:
            stopped = (list(tokens)[stop % len(tokens)],)
        self._kernel.commit(self._witness.execute(plan, stopped, tokens))

    def _fail(self) -> None:
        plan, self._plan = self._plan, None
        if plan is not None:
            self._kernel.fail(plan.step_id)

    def _mistake(self) -> None:
        step_id = StepId(0) if self._plan is None else self._plan.step_id
        with contextlib.suppress(UsageError):
            self._kernel.commit(StepResult(step_id, {NOBODY: 0}))
