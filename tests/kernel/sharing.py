"""Kernels that share prefixes, for tests: what was asked, and what entered with it."""

from collections.abc import Sequence

from fairq import (
    Capacity,
    Enter,
    Events,
    Kernel,
    Policy,
    PrefixCache,
    Request,
    RequestId,
    StepPlan,
    StepResult,
)

SIZE = 2
"""Tokens per block."""


def text(*runs: tuple[int, int]) -> list[int]:
    """Tokens: so many of each."""
    return [token for token, count in runs for _ in range(count)]


class Shop:
    """A kernel with a cache, and the plan that is outstanding."""

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        blocks: int = 64,
        slots: int = 8,
        tokens: int = 64,
    ) -> None:
        everybody = Policy(prefix_cache=PrefixCache(everybody=True))
        capacity = Capacity(
            blocks=blocks,
            block_size=SIZE,
            max_sequences=slots,
            tokens_per_step=tokens,
            prefix_cache=True,
        )
        self.kernel = Kernel(capacity, everybody if policy is None else policy)

    def ask(
        self,
        prompt: Sequence[int],
        tenant: str = "a",
        max_tokens: int = 1,
        adapter: str | None = None,
    ) -> RequestId:
        return self.kernel.submit(
            Request(
                tenant=tenant, prompt=prompt, max_tokens=max_tokens, adapter=adapter
            )
        )

    def plan(self) -> StepPlan:
        plan = self.kernel.plan()
        assert isinstance(plan, StepPlan), f"nothing to do: {plan}"
        self.kernel.check()
        return plan

    def answer(self, plan: StepPlan, token: int = 9) -> Events:
        ids = [*plan.decodes, *(c.request_id for c in plan.chunks if c.samples)]
        tokens = dict.fromkeys(ids, token)
        events = self.kernel.commit(StepResult(plan.step_id, tokens))
        self.kernel.check()
        return events

    def step(self) -> tuple[StepPlan, Events]:
        plan = self.plan()
        return plan, self.answer(plan)

    def serve(self, prompt: Sequence[int], tenant: str = "a") -> Enter:
        """One request from beginning to end, alone."""
        self.ask(prompt, tenant)
        plan, _ = self.step()
        return plan.enter[0]

    def found(self, prompt: Sequence[int], tenant: str = "a") -> int:
        """How much a new request finds; it is served too."""
        return self.serve(prompt, tenant).cached


def cached(plan: StepPlan) -> dict[int, int]:
    """What those who enter with a plan have found."""
    return {enter.request_id: enter.cached for enter in plan.enter}
