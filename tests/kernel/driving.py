"""What drives a kernel in tests: a loop around the witness of ``fairq.testing``."""

from collections.abc import Iterable, Sequence

from fairq import (
    Capacity,
    Events,
    Kernel,
    Policy,
    Request,
    RequestId,
    StepPlan,
    TokenIds,
)
from fairq.testing import Receipts, Witness
from fairq.testing._witness import frozen


def prompt(length: int, first: int = 1) -> TokenIds:
    return TokenIds(range(first, first + length))


def request(tenant: str = "a", length: int = 4, max_tokens: int = 4) -> Request:
    return Request(tenant=tenant, prompt=prompt(length), max_tokens=max_tokens)


class Loop:
    """A kernel and its witness; remembers what happened."""

    def __init__(
        self, capacity: Capacity, policy: Policy | None = None, *, check: bool = True
    ) -> None:
        self.kernel = Kernel(capacity, policy)
        self.witness = Witness(capacity)
        self.check = check
        self.submitted = 0
        self.plans: list[StepPlan] = []
        self.first_step: dict[RequestId, int] = {}
        self.receipts = Receipts()
        self.received = self.receipts.received
        self.finished = self.receipts.finished
        self.preempted = self.receipts.preempted

    def submit(
        self, tenant: str = "a", length: int = 4, max_tokens: int = 4
    ) -> RequestId:
        request_id = self.kernel.submit(request(tenant, length, max_tokens))
        self.submitted += 1
        return request_id

    def send(
        self,
        prompt: Iterable[int],
        tenant: str = "a",
        max_tokens: int = 4,
        adapter: str | None = None,
    ) -> RequestId:
        """Submit a request for which it matters what the prompt is."""
        self.submitted += 1
        return self.kernel.submit(
            Request(
                tenant=tenant,
                prompt=TokenIds(prompt),
                max_tokens=max_tokens,
                adapter=adapter,
            )
        )

    def submit_many(
        self, count: int, tenant: str = "a", length: int = 4, max_tokens: int = 4
    ) -> list[RequestId]:
        return [self.submit(tenant, length, max_tokens) for _ in range(count)]

    def plan(self) -> StepPlan:
        plan = self.kernel.plan()
        assert isinstance(plan, StepPlan), f"nothing to do: {plan}"
        self._verify()
        return plan

    def answer(self, plan: StepPlan, stop: Sequence[RequestId] = ()) -> Events:
        """Execute and commit a plan; its frozen copy is in ``plans`` afterwards."""
        for chunk in plan.chunks:
            self.first_step.setdefault(chunk.request_id, len(self.plans))
        self.plans.append(frozen(plan))
        events = self.kernel.commit(self.witness.execute(plan, tuple(stop)))
        self._verify()
        self.receipts.note(events)
        return events

    def step(self, stop: Sequence[RequestId] = ()) -> StepPlan:
        self.answer(self.plan(), stop)
        return self.plans[-1]

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def run(self, most: int = 10_000) -> int:
        """Step until nothing is left; how many steps that took."""
        for count in range(most):
            if not self.live:
                return count
            self.step()
        message = f"not done after {most} steps: {self.kernel!r}"
        raise AssertionError(message)

    def cancel(self, request_id: RequestId) -> Events:
        events = self.kernel.cancel(request_id)
        self._verify()
        self.receipts.note(events)
        return events

    def fail(self, plan: StepPlan) -> Events:
        events = self.kernel.fail(plan.step_id)
        self._verify()
        self.receipts.note(events)
        return events

    @property
    def live(self) -> int:
        return self.submitted - len(self.finished)

    def _verify(self) -> None:
        if self.check:
            self.kernel.check()


def capacity(
    *,
    blocks: int = 64,
    block_size: int = 4,
    sequences: int = 8,
    tokens: int = 64,
    prefix_cache: bool = False,
) -> Capacity:
    return Capacity(
        blocks=blocks,
        block_size=block_size,
        max_sequences=sequences,
        tokens_per_step=tokens,
        prefix_cache=prefix_cache,
    )


def busy() -> Loop:
    """Two that decode, one that prefills, two that wait."""
    loop = Loop(capacity(sequences=3, tokens=8))
    loop.submit_many(2, "a", length=3, max_tokens=8)
    loop.step()
    loop.submit("b", length=20)
    loop.submit_many(2, "c")
    loop.step()
    return loop
