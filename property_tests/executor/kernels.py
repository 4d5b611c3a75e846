"""Serves a trace by a kernel: what a server would do, at a small size."""

from collections import Counter
from random import Random  # noqa: TID251  # passed in, seeded by the test
from typing import Final

import attrs

from fairq import (
    Events,
    Idle,
    Kernel,
    Policy,
    PrefixCache,
    Request,
    RequestId,
    StepPlan,
)
from property_tests.executor.driver import same_bits
from property_tests.executor.faulty import Faulty, Provoked
from property_tests.executor.models import Asked
from property_tests.executor.solo import Outcome, solo_of
from property_tests.executor.traces import Trace

HASTY = Asked(prompt=(1,), count=1)
"""Ends at once, so that an optimistic kernel expects the same of others."""

MANY = 1_000
TENANTS: Final = ("a", "b")
LONGEST: Final = 300
"""Prompts are not continued beyond so many tokens; models have a context of 512."""

CACHES: Final = (
    *(PrefixCache(), PrefixCache(everybody=True)),
    PrefixCache(everybody=True, max_wait=0),
)
"""Who shares; without a cache runs are served by a backend in debug mode."""


@attrs.define(eq=False)
class Server:
    """A kernel, the executor, and what its requests got."""

    kernel: Kernel
    backend: Faulty
    random: Random
    asked: dict[RequestId, Asked] = attrs.field(factory=dict)
    outcomes: dict[RequestId, Outcome] = attrs.field(factory=dict)
    seen: Counter[str] = attrs.field(factory=Counter)
    turns: int = 0
    """How many requests still come that continue an earlier one."""

    @classmethod
    def of(cls, trace: Trace, random: Random) -> "Server":
        """A server of these sizes."""
        backend = trace.backend()
        policy = Policy(max_failures=MANY, prefix_cache=random.choice(CACHES))
        kernel = Kernel(backend.capacity, policy)
        return cls(kernel, backend, random, turns=len(trace.requests))

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
                self._note_plan(plan)
                self._execute(plan)
        self.seen["cached"] += self.kernel.snapshot().cached_tokens

    def _submit(self, asked: Asked) -> None:
        request = Request(
            tenant=self.random.choice(TENANTS),
            prompt=asked.prompt,
            max_tokens=asked.count,
            sampling=asked.sampling,
        )
        name = self.kernel.submit(request)
        self.asked[name], self.outcomes[name] = asked, Outcome()

    def _cancel(self) -> None:
        events = self.kernel.cancel(self.random.choice(list(self.asked)))
        self.seen["cancel"] += len(events.finished)

    def _note_plan(self, plan: StepPlan) -> None:
        hits = [enter for enter in plan.enter if enter.cached]
        self.seen["prefix hit"] += len(hits)
        self.seen["shared prefix"] += len(plan.shared)
        self.seen["resumed from the cache"] += sum(
            len(enter.tokens) > enter.prompt_length for enter in hits
        )

    def _execute(self, plan: StepPlan) -> None:
        hits = any(enter.cached for enter in plan.enter)
        self.backend.fails = self.random.random() > (0.7 if hits else 0.9)
        try:
            result = self.backend.step(plan)
        except Provoked:
            self.seen["failed step"] += 1
            self.seen["failed hit"] += hits
            events = self.kernel.fail(plan.step_id)
        else:
            events = self.kernel.commit(result)
            self._note(events)
        self.seen["preemption"] += len(events.preempted)
        for finished in events.finished:
            self._continue(finished.request_id)

    def _note(self, events: Events) -> None:
        for name, token in events.tokens.items():
            self.outcomes[name].tokens.append(token)
            self.outcomes[name].logits.append(self.backend.logits[name])

    def _continue(self, name: RequestId) -> None:
        """Now and then somebody goes on from what was said."""
        asked, outcome = self.asked[name], self.outcomes[name]
        text = (*asked.prompt, *outcome.tokens, self.random.randint(0, 96))
        if not self.turns or len(text) > LONGEST or self.random.random() > 0.5:
            return
        longer = attrs.evolve(asked, prompt=text)
        if self._fits(longer):
            self.turns -= 1
            self.seen["another turn"] += 1
            self._submit(longer)

    def _fits(self, asked: Asked) -> bool:
        capacity = self.backend.capacity
        positions = len(asked.prompt) + asked.count - 1
        return -(-positions // capacity.block_size) <= capacity.blocks


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
