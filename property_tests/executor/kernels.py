"""Serves a trace by a kernel: what a server would do, at a small size."""

from collections import Counter
from random import Random  # noqa: TID251  # passed in, seeded by the test

import attrs

from fairq import Events, Idle, Kernel, Policy, Request, RequestId, StepPlan
from property_tests.executor.driver import same_bits
from property_tests.executor.faulty import Faulty, Provoked
from property_tests.executor.models import Asked
from property_tests.executor.solo import Outcome, solo_of
from property_tests.executor.traces import Trace

HASTY = Asked(prompt=(1,), count=1)
"""Ends at once, so that an optimistic kernel expects the same of others."""

MANY = 1_000


@attrs.define(eq=False)
class Server:
    """A kernel, the executor, and what its requests got."""

    kernel: Kernel
    backend: Faulty
    random: Random
    asked: dict[RequestId, Asked] = attrs.field(factory=dict)
    outcomes: dict[RequestId, Outcome] = attrs.field(factory=dict)
    seen: Counter[str] = attrs.field(factory=Counter)

    @classmethod
    def of(cls, trace: Trace, random: Random) -> "Server":
        """A server of these sizes."""
        backend = trace.backend()
        return cls(Kernel(backend.capacity, Policy(max_failures=MANY)), backend, random)

    def serve(self, requests: list[Asked]) -> None:
        """Serve all, arriving one after another; cancel some, fail some steps."""
        arriving = [HASTY, *requests]
        plan: StepPlan | Idle = Idle.NO_WORK
        while arriving or isinstance(plan, StepPlan):
            while arriving and self.random.random() < 0.7:
                self._submit(arriving.pop(0))
            if self.random.random() > 0.94 and self.asked:
                self._cancel()
            plan = self.kernel.plan()
            if isinstance(plan, StepPlan):
                self._execute(plan)

    def _submit(self, asked: Asked) -> None:
        request = Request(
            tenant="t",
            prompt=asked.prompt,
            max_tokens=asked.count,
            sampling=asked.sampling,
        )
        name = self.kernel.submit(request)
        self.asked[name], self.outcomes[name] = asked, Outcome()

    def _cancel(self) -> None:
        events = self.kernel.cancel(self.random.choice(list(self.asked)))
        self.seen["cancel"] += len(events.finished)

    def _execute(self, plan: StepPlan) -> None:
        self.backend.fails = self.random.random() > 0.9
        try:
            result = self.backend.step(plan)
        except Provoked:
            self.seen["failed step"] += 1
            events = self.kernel.fail(plan.step_id)
        else:
            events = self.kernel.commit(result)
            self._note(events)
        self.seen["preemption"] += len(events.preempted)

    def _note(self, events: Events) -> None:
        for name, token in events.tokens.items():
            self.outcomes[name].tokens.append(token)
            self.outcomes[name].logits.append(self.backend.logits[name])


def serve(trace: Trace, random: Random) -> tuple[list[int], Counter[str]]:
    """Serve it; who got other bits than alone, and what happened."""
    server, solo = Server.of(trace, random), solo_of(trace.shape, trace.dtype)
    server.serve(trace.requests)
    others = [
        name
        for name, asked in server.asked.items()
        if not same_bits(server.outcomes[name], solo.outcome(asked))
    ]
    return [*others], server.seen
