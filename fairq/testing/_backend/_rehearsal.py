"""A scenario on a backend: the same calls, answered by the backend and not as written.

What was wrong goes wrong again, and what was mended does not: tokens are those of the
backend, so that a run may end earlier or later than it is written.
"""

from contextlib import suppress

from fairq.errors import RequestRejected, UsageError
from fairq.plan import StepId, StepPlan, StepResult
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._arguments import WHO
from fairq.testing._backend._bench import Bench
from fairq.testing._backend._scenario import Script
from fairq.testing._backend._show import Show, refused
from fairq.testing._transcript._calls import (
    Cancel,
    Commit,
    Fail,
    Noted,
    Pin,
    Plan,
    Submit,
    Unpin,
)
from fairq.testing._transcript._commands import answers


class Rehearsal:
    """The calls of a scenario, made on the kernel of a show.

    Times are left out: a kernel only reports them.

    Args:
        bench: What is under examination.
        show: A fresh one.
    """

    def __init__(self, bench: Bench, show: Show) -> None:
        self._bench = bench
        self._show = show
        self._plan: StepPlan | None = None
        self._said: dict[StepId, StepResult] = {}

    def make(self, noted: Noted) -> None:
        """Make a call.

        Raises:
            ObligationBroken: the backend has not done what it must.
        """
        call = noted.call
        if isinstance(call, Submit):
            self._submit(call)
        elif isinstance(call, Cancel):
            self._show.cancel(call.request_id)
        elif isinstance(call, Pin | Unpin):
            with suppress(UsageError):  # other tokens, and less may be there to pin
                call.perform(self._show.kernel)
        elif isinstance(call, Plan):
            if self._plan is None:
                self._plan = self._show.plan()
        elif answers(noted):
            self._answer(call)
        elif isinstance(call, Commit):
            self._repeat(call.step_id)

    def end(self) -> None:
        """Execute the plan that is outstanding, and compare all tokens."""
        if self._plan is not None:
            self._execute(self._plan)
        self._show.check()

    def _submit(self, call: Submit) -> None:
        request = Request(
            tenant=call.tenant,
            prompt=call.prompt,
            max_tokens=call.max_tokens,
            adapter=call.adapter,
        )
        with suppress(RequestRejected):  # as it may be written
            self._show.submit(request)

    def _answer(self, call: Commit | Fail) -> None:
        # There may be none: other tokens can end a request earlier than is written.
        plan, self._plan = self._plan, None
        if plan is None:
            return
        if isinstance(call, Fail):
            self._show.fail(plan)
        else:
            self._execute(plan)

    def _execute(self, plan: StepPlan) -> None:
        self._said[plan.step_id] = self._show.execute(plan)

    def _repeat(self, step: StepId) -> None:
        """Give an answer once more, as it came from the backend."""
        result = self._said.get(step)
        if result is not None and refused(self._show, result) is None:
            expected = f"the answer to step {step} is refused the second time"
            owed.ANSWERED.broken(self._bench.who, expected, "it was accepted")


def rehearse(bench: Bench, script: Script) -> None:
    """Do a run again.

    Raises:
        ObligationBroken: it goes wrong.
        UsageError: it makes steps fail, and nobody said how.
    """
    script.check(bench.capacity, bench.who)
    if script.fails and bench.provoke is None:
        msg = f"{WHO}: expected provoke for a scenario in which steps fail; got None."
        raise UsageError(msg)
    heading, journal = script.heading, script.journal
    with Show(
        bench,
        heading.trial,
        journal.policy,
        capacity=journal.capacity,
        mirrored=heading.mirrored,
    ) as show:
        rehearsal = Rehearsal(bench, show)
        for noted in journal.calls:
            rehearsal.make(noted)
        rehearsal.end()
    bench.note("all else: only the scenario was played")
    if heading.sampling:
        bench.note("sampling: the scenario is without what the requests had")
