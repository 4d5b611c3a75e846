"""One run of a real kernel on a backend, with what each request got."""

from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

import attrs

from fairq.backend import Capacity
from fairq.errors import UsageError
from fairq.events import Events, FinishReason
from fairq.kernel import Kernel
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Alone, Bench, key_of
from fairq.testing._backend._host import Overdue
from fairq.testing._backend._scenario import Heading
from fairq.testing._obligations import Obligation, ObligationBroken, story
from fairq.testing._transcript._journal import RecordingKernel
from fairq.testing._witness import sampled

PATIENT: Final = 10**6
"""Failed steps in a row that no run reaches."""
EASY: Final = Policy(max_failures=PATIENT, prefix_cache=None)
"""Without sharing, so that what goes wrong is not two things at once."""


class Show:
    """Requests on a fresh backend, driven by a kernel that notes what is done.

    A ``with`` block: an obligation that is found broken inside carries the run, and
    whatever is raised inside, the backend is closed, unless it hangs.

    Args:
        bench: What is under examination.
        blame: What is broken if the backend raises, or says other tokens than alone.
        policy: Of the kernel.
        capacity: As the kernel is told; None for all there is.
        mirrored: Whether slots and blocks are named from the top.
    """

    def __init__(
        self,
        bench: Bench,
        blame: Obligation,
        policy: Policy = EASY,
        *,
        capacity: Capacity | None = None,
        mirrored: bool = False,
    ) -> None:
        self.kernel = RecordingKernel(capacity or bench.capacity, policy)
        self.examiner = bench.examiner(mirrored=mirrored)
        self.requests: dict[RequestId, Request] = {}
        self.tokens: dict[RequestId, list[int]] = {}
        self.ends: dict[RequestId, FinishReason] = {}
        self._when: dict[RequestId, list[int]] = {}
        self._bench = bench
        self._blame = blame
        self._mirrored = mirrored

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bench.tally.steps += self.examiner.steps
        seen = self.kernel.snapshot()
        self._bench.tally.preemptions += seen.preemptions
        self._bench.tally.cached_tokens += seen.cached_tokens
        if isinstance(error, ObligationBroken) and not hasattr(error, "__notes__"):
            # A run alone goes wrong inside of another, and is the shorter story.
            again, heading = self._bench.again, self._heading()
            error.add_note(story(self.kernel.journal, again, heading))
        if isinstance(error, Exception) and not _hangs(error):
            with suppress(Exception):  # what is wrong was found already
                self.examiner.call(self.examiner.backend.close)

    def _heading(self) -> Heading:
        options = [each.sampling for each in self.requests.values()]
        return Heading(
            trial=self._blame,
            mirrored=self._mirrored,
            sampling=any(each is not None for each in options),
        )

    # --- a driver -------------------------------------------------------------------

    def submit(self, *requests: Request) -> list[RequestId]:
        """Queue requests."""
        ids = []
        for request in requests:
            id_ = self.kernel.submit(request)
            self.requests[id_] = request
            self.tokens[id_], self._when[id_] = [], []
            ids.append(id_)
        return ids

    def cancel(self, id_: RequestId) -> None:
        """End a request, unless it is over."""
        self._take(self.kernel.cancel(id_), step=-1)

    def plan(self) -> StepPlan | None:
        """The next plan, if there is anything to do."""
        plan = self.kernel.plan()
        return plan if isinstance(plan, StepPlan) else None

    def execute(self, plan: StepPlan) -> StepResult:
        """Let the backend execute a plan and the kernel take the answer."""
        result = self.examiner.step(plan, self._blame)
        self._take(self.kernel.commit(result), plan.step_id)
        return result

    def step(self) -> StepPlan | None:
        """One step, unless there is nothing to do."""
        plan = self.plan()
        if plan is not None:
            self.execute(plan)
        return plan

    def fail(self, plan: StepPlan) -> None:
        """Let a step fail, as provoked.

        Raises:
            ObligationBroken: it did not fail.
        """
        assert self._bench.provoke is not None  # noqa: S101  # callers see to it
        provoke, backend = self._bench.provoke, self.examiner.backend
        self.examiner.call(lambda: provoke(backend))
        try:
            failure = self.examiner.fail(plan)
        finally:  # it is in the run that this step was to fail
            self._take(self.kernel.fail(plan.step_id), plan.step_id)
        if failure is None:
            expected = f"step {plan.step_id}, provoked, raises"
            owed.PROVOKED.broken(self._bench.who, expected, "an answer")

    def finish(self) -> None:
        """Step until nothing is left."""
        while self.step() is not None:
            pass

    def play(self, requests: Iterable[Request]) -> None:
        """Run requests that come all at once, to the end."""
        self.submit(*requests)
        self.finish()

    def _take(self, events: Events, step: int) -> None:
        for id_, token in events.tokens.items():
            # Who was cancelled while the step ran may still be in it.
            if id_ not in self.ends:
                self.tokens[id_].append(token)
                self._when[id_].append(step)
        for finished in events.finished:
            self.ends[finished.request_id] = finished.reason

    # --- the end --------------------------------------------------------------------

    def check(self) -> None:
        """Compare with what each request gets alone, and close the backend."""
        if self._bench.deterministic:
            for id_ in self.requests:
                self._compare(id_)
        self.examiner.close()

    def _compare(self, id_: RequestId) -> None:
        alone, got = alone_on(self._bench, self.requests[id_]), self.tokens[id_]
        whole = self.ends.get(id_) in (FinishReason.LENGTH, FinishReason.STOP)
        expected = list(alone.tokens if whole else alone.tokens[: len(got)])
        if expected == got and (not whole or self.ends[id_] is alone.reason):
            return
        request = self.requests[id_]
        asked = f"prompt of {len(request.prompt)}, max_tokens={request.max_tokens}"
        self._blame.broken(
            self._bench.who,
            f"request {id_} ({asked}) gets {expected} as it does alone",
            f"{got}{self._where(id_, expected)}",
        )

    def _where(self, id_: RequestId, expected: list[int]) -> str:
        """The first token that differs, and its step."""
        pairs = enumerate(zip(expected, self.tokens[id_], strict=False))
        first = next((place for place, (one, two) in pairs if one != two), None)
        if first is None:
            return f", and ended as {self.ends[id_].value}"
        step = self._when[id_][first]
        return f"; the first that differs is number {first}, from step {step}"


def _hangs(error: Exception) -> bool:
    """Whether the thread of the backend is held up, so that nothing more runs there."""
    ends = isinstance(error, ObligationBroken) and error.obligation is owed.ENDS
    return ends or isinstance(error, Overdue)


def alone_on(bench: Bench, request: Request) -> Alone:
    """What a request gets when it has a fresh backend for itself. Kept."""
    key = key_of(request)
    if key not in bench.alone:
        bench.alone[key] = _run_alone(bench, request)
    return bench.alone[key]


def _run_alone(bench: Bench, request: Request) -> Alone:
    with Show(bench, owed.EXECUTED) as show:
        (id_,) = show.submit(request)
        show.finish()
        show.examiner.close()
    return Alone(tuple(show.tokens[id_]), show.ends[id_])


def refused(show: Show, result: StepResult) -> str | None:
    """Why the kernel refuses a result; None, and the damage is done, if it does not."""
    before = show.kernel.snapshot()
    try:
        show.kernel.commit(result)
    except UsageError as error:
        return str(error) if before == show.kernel.snapshot() else None
    return None


def one_token(request: Request) -> Request:
    """The same request, for a single token."""
    return attrs.evolve(request, max_tokens=1)


def preemptions(
    capacity: Capacity, crowd: Iterable[Request], policy: Policy = EASY
) -> int:
    """How often a kernel preempts somebody of a crowd, if nobody stops early."""
    kernel = Kernel(capacity, policy)
    first, *_ = crowd = tuple(crowd)
    for requests in ([one_token(first)], crowd):
        for request in requests:
            kernel.submit(request)
        while isinstance(plan := kernel.plan(), StepPlan):
            kernel.commit(StepResult(plan.step_id, dict.fromkeys(sampled(plan), 1)))
    return kernel.snapshot().preemptions
