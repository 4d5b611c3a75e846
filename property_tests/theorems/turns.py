"""Plans as a kernel on trial makes them: who passed whom, and who was left out."""

from collections.abc import Iterator

import attrs

from fairq import RequestId, StepPlan
from property_tests.programs import Plan, Program
from property_tests.theorems.trial import Claim, Trial


def queues_of(trial: Trial) -> dict[str, list[RequestId]]:
    """Who waits, by tenant, oldest first."""
    queues: dict[str, list[RequestId]] = {}
    for id_ in sorted(trial.waiting):
        queues.setdefault(trial.waiting[id_], []).append(id_)
    return queues


@attrs.frozen
class Planned:
    """A plan, and what was known when it was made."""

    plan: StepPlan | None
    passed: list[int]
    """By how much each newcomer was above the smallest counter."""
    queues: dict[str, list[RequestId]]
    """Who is not in the plan."""
    counters: dict[str, int]
    """With what it will charge."""


def plan_of(trial: Trial) -> Planned:
    """Let the kernel plan; newcomers must be the oldest of their tenants."""
    queues = queues_of(trial)
    counters = {tenant: trial.counter(tenant) for tenant in queues}
    trial.do(Plan())
    passed = []
    for enter in () if trial.outstanding is None else trial.outstanding.enter:
        job = trial.jobs[enter.request_id]
        lowest = min(counters[tenant] for tenant, queue in queues.items() if queue)
        passed.append(counters[job.tenant] - lowest)
        assert queues[job.tenant].pop(0) == enter.request_id
        price = trial.books[job.tenant].prompt_price
        counters[job.tenant] += price * (job.prompt - job.charged)
    left = {tenant: queue for tenant, queue in queues.items() if queue}
    return Planned(trial.outstanding, passed, left, counters)


def plans_of(trial: Trial, program: Program) -> Iterator[Planned]:
    """Every plan of a program, before it is answered."""
    for op in program:
        if isinstance(op, Plan) and trial.outstanding is None:
            yield plan_of(trial)
        else:
            trial.do(op)


class Gate(Claim):
    """Newcomers are not further above the smallest counter than the slack."""

    def play(self, trial: Trial, program: Program) -> "Gate":
        for planned in plans_of(trial, program):
            for above in planned.passed:
                self.keep(above, trial.slack)
        return self
