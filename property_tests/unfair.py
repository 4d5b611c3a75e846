"""Schedulers that are unfair, and a trial that measures a kernel from its plans alone.

The kernel's own are made by patching it; the one by deficits is a simulation.
"""

from collections import deque
from collections.abc import Iterable
from fractions import Fraction
from itertools import accumulate

import attrs

from fairq import (
    Capacity,
    Kernel,
    LinearCost,
    Policy,
    Request,
    StepPlan,
    StepResult,
)
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from property_tests.models import BatchModel, GapModel, ModelRequest
from property_tests.programs import tokens_of


@attrs.frozen
class Job:
    """What a tenant asks for, again and again."""

    tenant: str
    prompt: int
    outputs: int

    def cost(self, prices: LinearCost) -> Fraction:
        return Fraction(prices.service(self.prompt, self.outputs))


class Trial:
    """A kernel on a load, with the service of each tenant and the largest gap."""

    def __init__(self, capacity: Capacity, policy: Policy | None = None) -> None:
        self.policy = Policy() if policy is None else policy
        self.kernel = Kernel(capacity, self.policy)
        size, slots = capacity.block_size, capacity.max_sequences
        budget = capacity.tokens_per_step
        self.batch = BatchModel(capacity.blocks, size, min(slots, budget), budget)
        self.gap = GapModel(dict(self.policy.weights))
        self.ended: dict[str, int] = {}
        """Requests that have finished, by tenant."""

    def submit(self, job: Job, count: int = 1, *, meanwhile: bool = False) -> None:
        """Some equal requests; ``meanwhile`` when a step is outstanding."""
        for _ in range(count):
            prompt = [1] * job.prompt
            request = Request(tenant=job.tenant, prompt=prompt, max_tokens=job.outputs)
            model = ModelRequest(job.tenant, prompt, job.outputs)
            model.arriving = meanwhile
            self.batch.requests[self.kernel.submit(request)] = model
        self.gap.observe(self.batch.backlogged())

    def step(self, meanwhile: Job | None = None) -> bool:
        """One step, in which somebody may come; False when nothing was to do."""
        plan = self.kernel.plan()
        if not isinstance(plan, StepPlan):
            return False
        self.batch.check_plan(plan)
        if meanwhile is not None:
            self.submit(meanwhile, meanwhile=True)
        self._execute(plan)
        self.batch.answered()
        self.gap.observe(self.batch.backlogged())
        return True

    def _execute(self, plan: StepPlan) -> None:
        tokens = tokens_of(plan)
        before = self.batch.backlogged()
        chunked = [self.batch.requests[chunk.request_id] for chunk in plan.chunks]
        paid = [each.paid for each in chunked]
        self.batch.apply(plan, tokens)
        for each, already in zip(chunked, paid, strict=True):
            self._serve(each, each.paid - already, 0)
        for id_ in tokens:
            self._serve(self.batch.requests[id_], 0, 1)
        self.gap.observe(before)
        for finished in self.kernel.commit(StepResult(plan.step_id, tokens)).finished:
            request = self.batch.requests.pop(finished.request_id)
            request.live = False
            self.ended[request.tenant] = self.ended.get(request.tenant, 0) + 1
        self.gap.observe(self.batch.backlogged())

    def _serve(self, request: ModelRequest, prompt: int, outputs: int) -> None:
        service = self.policy.cost.service(prompt, outputs)
        self.gap.add(request.tenant, int(service))

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def finish(self) -> None:
        while self.step():
            pass

    @property
    def largest(self) -> Fraction:
        """The largest gap while two tenants were backlogged."""
        return self.gap.largest

    @property
    def bound(self) -> float:
        """What the kernel says it is at most."""
        bound = self.kernel.snapshot().gap_bound
        assert bound is not None
        return bound


class StaggeredPeak:
    """Admits whom the pool can hold if everybody decodes on in step, as LightLLM does.

    Requests that end early make room for what the others grow to, so the tokens that
    members will have produced in the end can be far more than the pool. For blocks of
    one token.
    """

    def __init__(self, life: Lifecycle) -> None:
        self._life = life
        self._drawn: list[Sequence] = []

    def begin(self, free: int) -> None:
        """A plan begins."""
        del free
        self._drawn = []

    def fits(self, sequence: Sequence, blocks: int, shared: int) -> bool:
        """Whether the largest number of tokens there will be at once fits."""
        del blocks, shared
        ids = [*self._life.batch.decodes, *self._life.batch.prefilling]
        members = [self._life.sequences[id_] for id_ in ids]
        pairs = [
            (each.request.max_tokens - each.produced, each.known)
            for each in [*members, *self._drawn, sequence]
        ]
        pairs.sort(reverse=True)
        held = accumulate(known for _, known in pairs)
        peaks = [
            left * count + now
            for count, ((left, _), now) in enumerate(zip(pairs, held, strict=True), 1)
        ]
        return max(peaks) <= self._life.ledger.total

    def draw(self, sequence: Sequence, blocks: int, own: int) -> None:
        """The draft takes it."""
        del blocks, own
        self._drawn.append(sequence)

    def enter(self, sequence: Sequence) -> None:
        """It has joined the batch."""

    def leave(self, sequence: Sequence, *, ended: bool) -> None:
        """It has left."""

    def preempted(self) -> None:
        """Never: the peak fits."""


@attrs.define
class Running:
    """A request in the batch of the simulation by deficits."""

    job: Job
    left: int


class Deficits:
    """A scheduler by deficits, with requests that do not fit passed over.

    A tenant is admitted while its deficit is above 0, pays for what it computes and is
    refilled by a quantum. The pool is reserved. All tenants always wait.

    Args:
        jobs: What each tenant asks for.
        pool: Tokens.
        quantum: What a refill gives, in service units.
        generous: Refill when a pass has admitted nobody; else only when nobody who
            waits has a deficit above 0, as DLPM (arXiv 2501.14312) says.
    """

    def __init__(
        self, jobs: Iterable[Job], pool: int, quantum: int, *, generous: bool
    ) -> None:
        self.jobs = tuple(jobs)
        self.free = pool
        self.quantum = quantum
        self.generous = generous
        self.deficits = {job.tenant: 0 for job in self.jobs}
        self.service = {job.tenant: 0 for job in self.jobs}
        self.batch: deque[Running] = deque()

    def charge(self, tenant: str, service: int) -> None:
        self.deficits[tenant] -= service
        self.service[tenant] += service

    def step(self) -> None:
        """Admit, refill, and compute one token for each member."""
        admitted = self._admit()
        rich = any(deficit > 0 for deficit in self.deficits.values())
        if not (admitted if self.generous else rich):
            for tenant, deficit in self.deficits.items():
                if deficit <= 0:
                    self.deficits[tenant] += self.quantum
        self._decode()

    def _admit(self) -> int:
        admitted = 0
        for job in self.jobs:
            needed = job.prompt + job.outputs
            while self.deficits[job.tenant] > 0 and needed <= self.free:
                self.free -= needed
                self.charge(job.tenant, job.prompt)
                self.batch.append(Running(job, job.outputs))
                admitted += 1
        return admitted

    def _decode(self) -> None:
        for _ in range(len(self.batch)):
            member = self.batch.popleft()
            self.charge(member.job.tenant, 2)
            member.left -= 1
            if member.left:
                self.batch.append(member)
            else:
                self.free += member.job.prompt + member.job.outputs

    def steps(self, count: int) -> int:
        """Do so many; how far the tenants are apart."""
        for _ in range(count):
            self.step()
        return max(self.service.values()) - min(self.service.values())
