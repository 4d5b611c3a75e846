"""What was done to a kernel and what it answered, to be done again.

A ``RecordingKernel`` stands where a ``Kernel`` does. Its journal is a frozen value that
can be pickled, replayed on a fresh kernel, and written down as a scenario.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs
from hypothesis.vendor.pretty import RepresentationPrinter

from fairq._validators import is_integer
from fairq.backend import Capacity
from fairq.events import Events
from fairq.kernel import Idle, Kernel
from fairq.plan import StepId, StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.testing._transcript._calls import (
    Answer,
    Call,
    Cancel,
    Commit,
    Fail,
    Noted,
    Outcome,
    Pin,
    Pinned,
    Plan,
    Raised,
    Unpin,
    answer,
    kept,
    pinning,
    submission,
    told,
)
from fairq.testing._transcript._commands import answering, answers, commands, shortened
from fairq.testing._transcript._setting import kernel_command
from fairq.tokens import TokenIds

T = TypeVar("T", bound=Answer)


@attrs.frozen(repr=False)
class Journal:
    """Everything that was done to one kernel. Frozen, and can be pickled.

    Made by a ``RecordingKernel``, or from text by ``record``.

        journal = kernel.journal
        Path("tests/bug.txt").write_text(journal.scenario())
        replay(journal)
    """

    capacity: Capacity
    """What the kernel was made with."""

    policy: Policy
    """The same; its discipline must be picklable if the journal is to be."""

    calls: tuple[Noted, ...] = ()
    """In order, with outcomes: a ``RequestId``, ``Events``, a ``StepPlan`` (its
    ``decodes`` a copy), an ``Idle``, or a ``Raised``."""

    def __repr__(self) -> str:
        return f"record('''\n{self.commands()}''')"

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: FBT001  # Hypothesis calls it like this
        """What Hypothesis prints; by itself it would print every field."""
        del cycle
        for number, line in enumerate(repr(self).splitlines()):
            if number:
                printer.break_()
            printer.text(line)

    @property
    def plans(self) -> tuple[StepPlan, ...]:
        """The plans that were committed: what a backend has executed, in order."""
        return tuple(
            plan
            for plan, noted in answering(self.calls)
            if plan is not None and isinstance(noted.call, Commit) and answers(noted)
        )

    def scenario(self) -> str:
        """The run as text that ``play`` and ``check_scenario`` understand.

        A block for each call: the command, and what came of it. A discipline that is
        not one of fairq's stands there by its name; pass it to ``play``. Costs O(text).
        """
        kernel = Kernel(self.capacity, self.policy)
        blocks = [f"{kernel_command(self.capacity, self.policy)}\n----\n{kernel!r}"]
        for command, noted in zip(commands(self.calls), self.calls, strict=True):
            blocks.append("\n".join([command, "----", *told(noted.outcome)]))
        return "\n\n".join(blocks) + "\n"

    def commands(self) -> str:
        """The same without outcomes, and short: what ``record`` makes it from again.

        Costs O(text).
        """
        first = kernel_command(self.capacity, self.policy)
        return "\n".join([first, *shortened(self.calls)]) + "\n"


class RecordingKernel(Kernel):
    """A ``Kernel`` that notes every call and what came of it.

    Errors are noted too. A call with an argument of a wrong type, which every kernel
    refuses, is not: there is no way to write it down. Nor is looking (``snapshot``,
    ``check``). Each call costs O(its answer) in time and memory more than in a kernel,
    and a plan O(batch) more.

        kernel = RecordingKernel(capacity, policy)
        kernel.submit(request)
        print(kernel.journal.scenario())

    Args:
        capacity: As for ``Kernel``.
        policy: As for ``Kernel``.

    Raises:
        UsageError: as ``Kernel``.
    """

    __slots__ = ("_calls",)

    def __init__(self, capacity: Capacity, policy: Policy | None = None) -> None:
        super().__init__(capacity, policy)
        self._calls: list[Noted] = []

    @property
    def journal(self) -> Journal:
        """What was done so far. Costs O(calls)."""
        return Journal(self._capacity, self._policy, tuple(self._calls))

    def submit(self, request: Request, now_ns: int = 0) -> RequestId:
        """As ``Kernel.submit``, noted."""
        call = submission(request, now_ns)
        return self._noted(call, lambda: Kernel.submit(self, request, now_ns))

    def cancel(self, request_id: RequestId) -> Events:
        """As ``Kernel.cancel``, noted."""
        call = Cancel(request_id) if is_integer(request_id) else None
        return self._noted(call, lambda: Kernel.cancel(self, request_id))

    def plan(self, now_ns: int = 0) -> StepPlan | Idle:
        """As ``Kernel.plan``, noted."""
        call = Plan(now_ns) if is_integer(now_ns) else None
        return self._noted(call, lambda: Kernel.plan(self, now_ns))

    def commit(self, result: StepResult) -> Events:
        """As ``Kernel.commit``, noted."""
        return self._noted(answer(result), lambda: Kernel.commit(self, result))

    def fail(self, step_id: StepId) -> Events:
        """As ``Kernel.fail``, noted."""
        call = Fail(step_id) if is_integer(step_id) else None
        return self._noted(call, lambda: Kernel.fail(self, step_id))

    def pin(
        self, tenant: str, tokens: Iterable[int], *, adapter: str | None = None
    ) -> int:
        """As ``Kernel.pin``, noted."""
        tokens = TokenIds(tokens)
        call = pinning(Pin, tenant, tokens, adapter)
        made = self._noted(
            call, lambda: Pinned(Kernel.pin(self, tenant, tokens, adapter=adapter))
        )
        return made.tokens or 0

    def unpin(
        self, tenant: str, tokens: Iterable[int], *, adapter: str | None = None
    ) -> None:
        """As ``Kernel.unpin``, noted."""
        tokens = TokenIds(tokens)
        call = pinning(Unpin, tenant, tokens, adapter)

        def unpinned() -> Pinned:
            Kernel.unpin(self, tenant, tokens, adapter=adapter)
            return Pinned(None)

        self._noted(call, unpinned)

    def _noted(self, call: Call | None, make: Callable[[], T]) -> T:
        try:
            answer = make()
        except Exception as error:
            self._note(call, Raised.of(error))
            raise
        self._note(call, kept(answer))
        return answer

    def _note(self, call: Call | None, outcome: Outcome) -> None:
        if call is not None:
            self._calls.append(Noted(call, outcome))
