"""Programs: what is done to a kernel as plain data, so that it can be done again."""

from collections.abc import Iterable
from typing import TypeVar

import attrs
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Discipline,
    Fcfs,
    Idle,
    Kernel,
    Policy,
    Request,
    RequestId,
    RequestRejected,
    StepId,
    StepPlan,
    StepResult,
    Vtc,
)
from fairq.kernel._admission import Optimistic

TENANTS = ("a", "b", "c", "d")
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 0.5}
PATIENT = 10**6
"""Failed steps in a row that no program reaches."""


# --- what can be done ---------------------------------------------------------------


@attrs.frozen
class Submit:
    """Some equal requests."""

    tenant: str
    prompt: int
    max_tokens: int
    count: int = 1

    def request(self) -> Request:
        return Request(
            tenant=self.tenant, prompt=range(self.prompt), max_tokens=self.max_tokens
        )


@attrs.frozen
class Cancel:
    """End a request that was submitted, modulo how many were."""

    which: int


@attrs.frozen
class Plan:
    """Ask for a plan, unless one is outstanding."""


@attrs.frozen
class Commit:
    """Answer the outstanding plan; ``stop`` says who ends, modulo how many could."""

    stop: int | None = None


@attrs.frozen
class Fail:
    """Report the outstanding plan as failed."""


Op = Submit | Cancel | Plan | Commit | Fail
Program = list[Op]
STEP: Program = [Plan(), Commit()]


def flat(parts: Iterable[Iterable[Op]]) -> Program:
    """One program of several."""
    return [op for part in parts for op in part]


# --- strategies ---------------------------------------------------------------------

T = TypeVar("T")


def single(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """A list of one."""
    return strategy.map(lambda value: [value])


submits = st.builds(
    Submit,
    tenant=st.sampled_from(TENANTS),
    prompt=st.integers(1, 12),
    max_tokens=st.integers(1, 12),
    count=st.integers(1, 4),
)
cancels = st.builds(Cancel, st.integers(0, 30))
commits = st.builds(Commit, st.one_of(st.none(), st.none(), st.integers(0, 9)))
steps = st.integers(1, 5).map(lambda count: STEP * count)
programs: st.SearchStrategy[Program] = st.lists(
    st.one_of(
        single(submits),
        single(submits),
        single(cancels),
        single(st.just(Plan())),
        single(commits),
        single(st.just(Fail())),
        steps,
        steps,
    ),
    min_size=10,
    max_size=40,
).map(flat)

disciplines: st.SearchStrategy[Discipline] = st.sampled_from(
    [Vtc(), Vtc(slack=8.0), Vtc(slack=64.0), Fcfs()]
)
# Small, so that blocks, slots and budget run out all the time.
capacities = st.builds(
    Capacity,
    blocks=st.integers(4, 20),
    block_size=st.sampled_from([1, 2, 4]),
    max_sequences=st.integers(1, 6),
    tokens_per_step=st.sampled_from([2, 8, 32]),
)
policies = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=disciplines,
    admission=st.sampled_from(Admission),
    max_waiting=st.sampled_from([None, 8]),
    max_failures=st.sampled_from([0, 1, PATIENT]),
)


@attrs.frozen
class Setting:
    """Where a program runs."""

    capacity: Capacity
    policy: Policy
    misled: bool = False
    """Admits far too much, as after many answers of length 0, and so preempts."""

    def kernel(self) -> Kernel:
        kernel = Kernel(self.capacity, self.policy)
        if self.misled:
            mislead(kernel)
        return kernel


settings_of_kernels = st.builds(Setting, capacities, policies, st.booleans())


def mislead(kernel: Kernel) -> None:
    """Make an optimistic kernel expect that nobody produces anything."""
    rule = kernel._life.rule
    if isinstance(rule, Optimistic):
        rule._mean = 0


# --- running one --------------------------------------------------------------------


def describe(plan: StepPlan) -> str:
    """All of a plan but its id, now: ``decodes`` is a view."""
    slots = [plan.decodes.slot(id_) for id_ in plan.decodes]
    return f"{attrs.evolve(plan, step_id=StepId(0))!r} slots {slots}"


def sampled(plan: StepPlan) -> list[RequestId]:
    """Who gets a token."""
    return [*plan.decodes, *(c.request_id for c in plan.chunks if c.samples)]


def tokens_of(plan: StepPlan) -> dict[RequestId, int]:
    """A token for everybody who gets one."""
    return {id_: 100 + id_ for id_ in sampled(plan)}


class Player:
    """Does a program to a kernel and notes everything that it answers."""

    def __init__(self, setting: Setting) -> None:
        self.kernel = setting.kernel()
        self.outstanding: StepPlan | None = None
        self.submitted = 0
        self.log: list[str] = []

    def play(self, program: Iterable[Op]) -> list[str]:
        for op in program:
            self.do(op)
        return self.log

    def do(self, op: Op) -> None:
        match op:
            case Submit():
                for _ in range(op.count):
                    self._submit(op.request())
            case Cancel():
                id_ = RequestId(op.which % max(1, self.submitted))
                self.log.append(repr(self.kernel.cancel(id_)))
            case Plan():
                self._plan()
            case Commit() | Fail():
                self._answer(op)

    def finish(self) -> list[str]:
        """Answer what is outstanding, and go on until nothing is left."""
        for _ in range(10_000):
            self.do(Plan())
            if self.outstanding is None:
                return self.log
            self.do(Commit())
        msg = "It does not come to an end."
        raise AssertionError(msg)

    def _submit(self, request: Request) -> None:
        try:
            self.kernel.submit(request)
        except RequestRejected as error:
            numbers = (error.retryable, error.needed, error.available)
            self.log.append(f"rejected {numbers}")
        else:
            self.submitted += 1
            self.log.append("accepted")

    def _plan(self) -> None:
        if self.outstanding is not None:
            return
        plan = self.kernel.plan()
        if isinstance(plan, Idle):
            self.log.append(repr(plan))
            return
        self.outstanding = plan
        self.log.append(describe(plan))

    def _answer(self, op: Commit | Fail) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        if isinstance(op, Fail):
            self.log.append(repr(self.kernel.fail(plan.step_id)))
            return
        tokens = tokens_of(plan)
        stopped = stopped_by(op, tokens)
        result = StepResult(plan.step_id, tokens, stopped)
        self.log.append(repr(self.kernel.commit(result)))


def stopped_by(op: Commit, tokens: dict[RequestId, int]) -> tuple[RequestId, ...]:
    """Who a commit ends."""
    if op.stop is None or not tokens:
        return ()
    return (list(tokens)[op.stop % len(tokens)],)
