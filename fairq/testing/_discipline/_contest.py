"""One run of a kernel under a discipline, with books kept from what it executed."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

import attrs

from fairq.backend import Capacity
from fairq.disciplines import Discipline
from fairq.errors import RequestRejected
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.sim._gap import GapMeter
from fairq.testing._discipline import _obligations as owed
from fairq.testing._obligations import ObligationBroken, raised, story
from fairq.testing._transcript._journal import RecordingKernel
from fairq.testing._witness import sampled

TOLERANCE: Final = 1e-6
"""Of the bound and of counters: they are shown as floats."""
PATIENCE: Final = 50
"""Steps per position of work; more than recomputing after preemptions can take."""


@attrs.define
class Books:
    """What the requests of one tenant have cost since the kernel began to count."""

    prompt_tokens: int = 0
    output_tokens: int = 0


class Contest:
    """Tenants that compete for a small machine.

    A ``with`` block: an obligation that is found broken inside carries the run.

    Args:
        who: Name of the discipline.
        capacity: Of the machine.
        policy: Of the kernel; its discipline is under examination.
    """

    def __init__(self, who: str, capacity: Capacity, policy: Policy) -> None:
        self.kernel = RecordingKernel(capacity, policy)
        self.meter = GapMeter(policy)
        self.requests: dict[RequestId, Request] = {}
        self.steps = 0
        self._who = who
        self._gate = policy.discipline.slack is not None
        self._books: dict[str, Books] = {}
        self._paid: dict[RequestId, int] = {}
        self._stops: dict[RequestId, bool] = {}
        self._work = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ObligationBroken):
            error.add_note(story(self.kernel.journal))

    # --- callers --------------------------------------------------------------------

    def submit(self, request: Request, *, stops: bool = False) -> RequestId | None:
        """Queue a request between two steps; None if the kernel has no room for it."""
        waiting = self._waiting()
        try:
            with self._blamed():
                id_ = self.kernel.submit(request)
        except RequestRejected:
            return None
        self.requests[id_] = request
        self._stops[id_] = stops
        self._work += len(request.prompt) + request.max_tokens
        self.meter.arrived(id_, request.tenant, len(request.prompt))
        if self._gate and request.tenant not in waiting:
            self._check_lift(request.tenant, waiting)
        self._open_books()
        return id_

    def cancel(self, id_: RequestId) -> None:
        """End a request between two steps."""
        with self._blamed():
            events = self.kernel.cancel(id_)
        self.meter.failed(events)
        self._open_books()

    # --- a driver -------------------------------------------------------------------

    def step(self) -> StepPlan | None:
        """One step, in which everybody says 1; None if there was nothing to do."""
        with self._blamed():
            plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return None
        tokens = dict.fromkeys(sampled(plan), 1)
        stopped = tuple(id_ for id_ in tokens if self._stops[id_])
        self._book(plan)
        with self._blamed():
            events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        self.meter.committed(plan, events)
        self.steps += 1
        self._check_books()
        return plan

    def finish(self) -> None:
        """Step until nothing is left.

        Raises:
            ObligationBroken: that takes for ever.
        """
        limit = self.steps + PATIENCE * (self._work + 1)
        while self.step() is not None:
            if self.steps > limit:
                left = len(self.kernel.snapshot().requests)
                expected = f"{self._work} positions are done in {limit} steps"
                owed.PROGRESS.broken(self._who, expected, f"{left} requests are left")

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        """Whatever else is raised comes from the discipline."""
        try:
            yield
        except RequestRejected:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a discipline raises
            try:
                owed.RAISES.broken(self._who, "a turn for each tenant", raised(error))
            except ObligationBroken as broken:
                raise broken from error

    # --- the books ------------------------------------------------------------------

    def _open_books(self) -> None:
        """Tenants come and are forgotten, and counting begins anew."""
        names = [tenant.tenant for tenant in self.kernel.snapshot().tenants]
        self._books = {name: self._books.get(name) or Books() for name in names}

    def _book(self, plan: StepPlan) -> None:
        for chunk in plan.chunks:
            id_, end = chunk.request_id, chunk.start + chunk.length
            paid = self._paid.get(id_, 0)
            now = max(paid, min(end, len(self.requests[id_].prompt)))
            self._of(id_).prompt_tokens += now - paid
            self._paid[id_] = now
        for id_ in sampled(plan):
            self._of(id_).output_tokens += 1

    def _of(self, id_: RequestId) -> Books:
        return self._books[self.requests[id_].tenant]

    def _check_books(self) -> None:
        self._open_books()
        for tenant in self.kernel.snapshot().tenants:
            charged = Books(tenant.prompt_tokens, tenant.output_tokens)
            executed = self._books[tenant.tenant]
            if charged != executed:
                expected = f"tenant {tenant.tenant} is charged for {executed}"
                owed.CHARGES.broken(self._who, expected, charged)

    # --- fairness -------------------------------------------------------------------

    def _waiting(self) -> dict[str, float]:
        """The counters of those who wait."""
        tenants = self.kernel.snapshot().tenants
        return {each.tenant: each.counter for each in tenants if each.waiting}

    def _check_lift(self, name: str, before: dict[str, float]) -> None:
        if not before:
            return
        lowest = min(before.values())
        counter = self._waiting()[name]
        if counter < lowest * (1 - TOLERANCE):
            expected = f"tenant {name} joins at {lowest:g} or above"
            owed.LIFT.broken(self._who, expected, f"{counter:g}")

    def check_bound(self) -> None:
        """Compare the gap with what the kernel allows itself.

        Raises:
            ObligationBroken: it is larger.
        """
        bound, gap = self.kernel.snapshot().gap_bound, self.meter.largest_gap()
        if bound is not None and gap > bound * (1 + TOLERANCE) + TOLERANCE:
            owed.BOUND.broken(self._who, f"a gap of at most {bound:g}", f"{gap:g}")


def longest_wait(who: str, discipline: Discipline, history: int) -> tuple[int, str]:
    """How long a tenant with requests goes without one admitted, and which.

    Tenant a works alone for a while; then b and c come, and from then on each of them
    always has four requests waiting.

    Args:
        who: Name of the discipline.
        discipline: Whose turn it is.
        history: Steps in which a is alone.
    """
    machine = Capacity(blocks=16, block_size=4, max_sequences=2, tokens_per_step=16)
    with Contest(who, machine, Policy(discipline=discipline)) as contest:
        flood = Flood(contest)
        for _ in range(history):
            flood.step(("a",))
        flood.waits = {}
        for _ in range(3 * ENOUGH):
            flood.step(("a", "b", "c"))
    longest = max(flood.longest, key=lambda name: flood.longest[name])
    return flood.longest[longest], longest


ENOUGH: Final = 100
"""Steps in which each of three tenants with four requests waiting gets its turn: first
come, first served takes 28 at most."""


@attrs.define
class Flood:
    """Tenants that always have something waiting."""

    contest: Contest
    waits: dict[str, int] = attrs.field(factory=dict)
    """Steps since one of its requests was admitted."""
    longest: dict[str, int] = attrs.field(factory=dict)

    def step(self, names: tuple[str, ...]) -> None:
        """Fill up the queues, and let the machine work."""
        contest = self.contest
        waiting = {t.tenant: t.waiting for t in contest.kernel.snapshot().tenants}
        for name in names:
            request = Request(tenant=name, prompt=range(4), max_tokens=4)
            for _ in range(4 - waiting.get(name, 0)):
                contest.submit(request)
        plan = contest.step()
        entered = [] if plan is None else [e.request_id for e in plan.enter]
        served = [contest.requests[id_].tenant for id_ in entered]
        for name in names:
            self.waits[name] = 0 if name in served else self.waits.get(name, 0) + 1
            self.longest[name] = max(self.longest.get(name, 0), self.waits[name])
