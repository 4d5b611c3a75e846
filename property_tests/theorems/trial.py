"""A kernel on trial: driven by a program, and measured from outside at every moment.

All is counted from plans and answers, in whole units of 1/UNIT service per unit of
weight, so nothing is rounded but the two prices of a tenant. Only virtual counters are
asked of the kernel, because lifts are in them.

A moment is any time at which no plan is outstanding. A request that is in a plan does
not wait while the plan is executed, so a tenant waits *through* a step when one of its
requests waited before the step and still does after it.
"""

import enum
from collections.abc import Iterable
from fractions import Fraction

import attrs

from fairq import (
    Events,
    Idle,
    RequestId,
    RequestRejected,
    StepPlan,
    StepResult,
)
from property_tests.programs import (
    Cancel,
    Commit,
    Fail,
    Op,
    Plan,
    Setting,
    Submit,
    stopped_by,
    tokens_of,
)

UNIT = 2**32
"""Prices are rounded to 1/UNIT; nothing else is."""


def units(cost: float, weight: float = 1.0) -> int:
    """What a token of that cost adds to the counter of a tenant of that weight."""
    return round(UNIT * cost / weight)


class Place(enum.Enum):
    """Where a request is."""

    WAITING = "waiting"
    RUNNING = "running"
    OVER = "over"


@attrs.define(eq=False)
class Job:
    """One request."""

    tenant: str
    prompt: int
    max_tokens: int
    alone: bool
    """Its tenant had no other live request when it came."""
    since: int
    """Steps committed when it began to wait."""
    place: Place = Place.WAITING
    arriving: bool = False
    """It came during a step, and begins to wait with the answer."""
    cancelled: bool = False
    """Its caller was told so, and it is gone with the answer."""
    charged: int = 0
    """Prompt positions charged."""
    computed: int = 0
    paid: int = 0
    """Most positions of its prompt that were ever computed."""
    produced: int = 0
    entered: int | None = None
    """Steps committed when the plan was made that admitted it first."""
    latest: tuple[int, int] = (-1, -1)
    """The same for the plan that did so last, and its place in that plan."""


@attrs.define(eq=False)
class Book:
    """One tenant, in units: what it was charged and given, and the largest of each."""

    prompt_price: int
    output_price: int
    charged: int = 0
    executed: int = 0
    commitment: int = 0
    """O: most it could be charged from its last admission in a step on."""
    prepaid: int = 0
    """P: most that was charged and not executed at the end of a step."""
    tokens: int = 0
    """M: most that prompts and ``max_tokens`` of its members ever were together."""
    longest: int = 0
    """L: the longest of its prompts that were admitted."""


class Claim:
    """What must hold: of what was seen no more than is allowed; the pair that came
    closest is kept."""

    seen = 0
    allowed = 0

    @property
    def ratio(self) -> Fraction:
        """What was seen of what is allowed; 0 when nothing was to see."""
        return Fraction(self.seen, self.allowed) if self.allowed else Fraction(0)

    def look(self, trial: "Trial", through: list[str]) -> Iterable[tuple[int, int]]:
        """Pairs of what is seen now and what is allowed.

        ``through`` names the tenants that have waited since the moment before.
        """
        raise NotImplementedError

    def check(self, trial: "Trial", through: list[str]) -> None:
        """Compare at one moment."""
        for seen, allowed in self.look(trial, through):
            self.keep(seen, allowed)

    def keep(self, seen: int, allowed: int) -> None:
        assert seen <= allowed
        # Ratios of integers, compared without a division.
        if seen * self.allowed > self.seen * allowed or not self.allowed:
            self.seen, self.allowed = seen, allowed


class Trial:
    """A kernel that is driven, with the books of its tenants."""

    def __init__(self, setting: Setting, *claims: Claim) -> None:
        self.kernel = setting.kernel()
        self.setting = setting
        self.slack = units(setting.policy.discipline.slack or 0.0)
        self.claims = claims
        self.books: dict[str, Book] = {}
        self.jobs: dict[RequestId, Job] = {}
        """All there ever were."""
        self.live: dict[RequestId, Job] = {}
        self.waiting: dict[RequestId, str] = {}
        """Who waited at the latest moment, and for whom."""
        self.outstanding: StepPlan | None = None
        self.work: list[int] = []
        """What each committed step executed."""
        self.tokens = 0
        """M of all members together."""
        self.refunded = False

    # --- questions ------------------------------------------------------------------

    def backlogged(self) -> list[str]:
        """Tenants that waited at the latest moment."""
        return list(dict.fromkeys(self.waiting.values()))

    def counter(self, tenant: str) -> int:
        """The virtual counter of a tenant with live requests."""
        return self.kernel._life.counters.tenants[tenant].counter

    def members(self, tenant: str | None = None) -> list[Job]:
        """Who runs, of one tenant or of all."""
        running = [job for job in self.live.values() if job.place is Place.RUNNING]
        return [job for job in running if tenant in (None, job.tenant)]

    # --- driving --------------------------------------------------------------------

    def play(self, program: Iterable[Op]) -> "Trial":
        for op in program:
            self.do(op)
        return self

    def finish(self, steps: int = 10_000) -> "Trial":
        """Go on until all is done, or for so many steps."""
        for _ in range(steps):
            self.do(Plan())
            if self.outstanding is None:
                break
            self.do(Commit())
        return self

    def do(self, op: Op) -> None:
        match op:
            case Submit():
                for _ in range(op.count):
                    self._submit(op)
            case Cancel():
                self._cancel(RequestId(op.which % max(1, len(self.jobs))))
            case Plan():
                self._plan()
            case Commit() | Fail():
                self._answer(op)
        if self.outstanding is None:
            self._moment()

    def _submit(self, op: Submit) -> None:
        try:
            id_ = self.kernel.submit(op.request())
        except RequestRejected:
            return
        alone = all(job.tenant != op.tenant for job in self.live.values())
        job = Job(op.tenant, op.prompt, op.max_tokens, alone, len(self.work))
        job.arriving = self.outstanding is not None
        self.jobs[id_] = self.live[id_] = job
        if op.tenant not in self.books:
            policy = self.setting.policy
            weight = policy.weight(op.tenant)
            prices = (
                units(policy.cost.prompt, weight),
                units(policy.cost.output, weight),
            )
            self.books[op.tenant] = Book(*prices)
        if self.outstanding is None:
            self._moment()

    def _cancel(self, id_: RequestId) -> None:
        if not self.kernel.cancel(id_).finished:
            return
        job, plan = self.jobs[id_], self.outstanding
        entering = () if plan is None else [enter.request_id for enter in plan.enter]
        job.cancelled = True
        if plan is None or (job.place is Place.WAITING and id_ not in entering):
            self._end(id_)

    def _plan(self) -> None:
        if self.outstanding is None:
            plan = self.kernel.plan()
            self.outstanding = None if isinstance(plan, Idle) else plan

    def _answer(self, op: Commit | Fail) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        if isinstance(op, Fail):
            events = self.kernel.fail(plan.step_id)
            for id_ in events.preempted:
                self.live[id_].place, self.live[id_].computed = Place.WAITING, 0
        else:
            events = self._commit(plan, op)
        for finished in events.finished:
            self._end(finished.request_id)
        for id_ in [id_ for id_, job in self.live.items() if job.cancelled]:
            self._end(id_)
        for job in self.live.values():
            if job.arriving:
                job.arriving, job.since = False, len(self.work)

    # --- the books ------------------------------------------------------------------

    def _commit(self, plan: StepPlan, op: Commit) -> Events:
        tokens = tokens_of(plan)
        for id_ in plan.leave:
            # Who is over has left these books already; the others were preempted.
            if id_ in self.live:
                self.live[id_].place, self.live[id_].computed = Place.WAITING, 0
        self._enter(plan)
        before = sum(book.executed for book in self.books.values())
        self._execute(plan, tokens)
        executed = sum(book.executed for book in self.books.values())
        self.work.append(executed - before)
        for book in self.books.values():
            book.prepaid = max(book.prepaid, book.charged - book.executed)
        return self.kernel.commit(
            StepResult(plan.step_id, tokens, stopped_by(op, tokens))
        )

    def _enter(self, plan: StepPlan) -> None:
        """Charge prompts, and measure what was committed to right after."""
        last: dict[str, int] = {}
        for place, enter in enumerate(plan.enter):
            job = self.live[enter.request_id]
            book = self.books[job.tenant]
            job.latest = (len(self.work), place)
            unpaid = book.prompt_price * (job.prompt - job.charged)
            last[job.tenant] = unpaid
            job.place, job.charged = Place.RUNNING, job.prompt
            job.entered = len(self.work) if job.entered is None else job.entered
            book.charged += unpaid
            book.longest = max(book.longest, job.prompt)
        for tenant, unpaid in last.items():
            self._measure(tenant, unpaid)
        held = sum(job.prompt + job.max_tokens for job in self.members())
        self.tokens = max(self.tokens, held)

    def _measure(self, tenant: str, last: int) -> None:
        book, members = self.books[tenant], self.members(tenant)
        left = sum(job.max_tokens - job.produced for job in members)
        owed = book.output_price * left
        # The gate saw the prompts before the last as charged.
        book.commitment = max(book.commitment, last + owed)
        held = sum(job.prompt + job.max_tokens for job in members)
        book.tokens = max(book.tokens, held)

    def _execute(self, plan: StepPlan, tokens: dict[RequestId, int]) -> None:
        for chunk in plan.chunks:
            job = self.live[chunk.request_id]
            job.computed = chunk.start + chunk.length
            fresh = max(0, min(job.computed, job.prompt) - job.paid)
            job.paid += fresh
            book = self.books[job.tenant]
            book.executed += book.prompt_price * fresh
        for id_ in tokens:
            job = self.live[id_]
            job.produced += 1
            book = self.books[job.tenant]
            book.charged += book.output_price
            book.executed += book.output_price

    def _end(self, id_: RequestId) -> None:
        job = self.live.pop(id_, None)
        if job is None:
            return
        book = self.books[job.tenant]
        book.charged -= book.prompt_price * (job.charged - job.paid)
        self.refunded = self.refunded or job.charged > job.paid
        job.place = Place.OVER

    def _moment(self) -> None:
        now = {
            id_: job.tenant
            for id_, job in self.live.items()
            if job.place is Place.WAITING
        }
        kept = [tenant for id_, tenant in now.items() if id_ in self.waiting]
        self.waiting = now
        for claim in self.claims:
            claim.check(self, list(dict.fromkeys(kept)))
