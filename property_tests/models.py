"""Slow and obvious models, written from the definitions; they share no code with fairq.

Counting is done in fractions, so that nothing is rounded here.
"""

from fractions import Fraction
from itertools import combinations

import attrs

from fairq import Enter, RequestId, StepPlan


@attrs.define(eq=False)
class ModelRequest:
    """One request as a caller and a backend see it together."""

    tenant: str
    prompt: list[int]
    max_tokens: int
    live: bool = True
    """Nobody was told that it is over."""
    arriving: bool = False
    """It came while a plan was outstanding; it begins to wait with the answer."""
    outputs: list[int] = attrs.field(factory=list)
    paid: int = 0
    """Most prompt positions that ever had KV."""
    slot: int | None = None
    """None while it is not in the batch."""
    blocks: list[int] = attrs.field(factory=list)
    computed: int = 0
    decoding: bool = False

    @property
    def known(self) -> list[int]:
        return self.prompt + self.outputs

    def leave(self) -> None:
        self.slot, self.blocks, self.computed, self.decoding = None, [], 0, False


class BatchModel:
    """The standing batch as a backend derives it from plans, checking each of them."""

    def __init__(self, blocks: int, block_size: int, slots: int, budget: int) -> None:
        self.blocks = blocks
        self.block_size = block_size
        self.slots = slots
        self.budget = budget
        self.requests: dict[int, ModelRequest] = {}
        """All there ever were."""
        self.members: dict[int, ModelRequest] = {}
        """Who the backend believes is in the batch, over or not."""

    def live(self) -> dict[int, ModelRequest]:
        return {id_: r for id_, r in self.requests.items() if r.live}

    def backlogged(self) -> list[str]:
        """Tenants with a request that waits."""
        waiting = [
            request.tenant
            for request in self.live().values()
            if request.slot is None and not request.arriving
        ]
        return sorted(set(waiting))

    def answered(self) -> None:
        """Whoever arrived during the step waits from now on."""
        for request in self.requests.values():
            request.arriving = False

    # --- a plan ---------------------------------------------------------------------

    def check_plan(self, plan: StepPlan) -> None:
        """Everything a plan promises, before it is applied."""
        gone = {id_ for id_, m in self.members.items() if not m.live or m.slot is None}
        assert gone <= set(plan.leave) <= self.members.keys()
        assert len(set(plan.leave)) == len(plan.leave)
        stay = {id_: m for id_, m in self.members.items() if id_ not in plan.leave}
        assert set(plan.decodes) == {id_ for id_, m in stay.items() if m.decoding}
        assert 0 < plan.tokens <= self.budget
        assert len(stay) + len(plan.enter) <= self.slots
        self._check_slots(plan, stay)
        self._check_blocks(plan, stay)
        for enter in plan.enter:
            self._check_enter(enter, stay)
        self._check_chunks(plan)

    def _check_slots(self, plan: StepPlan, stay: dict[int, ModelRequest]) -> None:
        slots = [m.slot for m in stay.values()] + [e.slot for e in plan.enter]
        assert len(set(slots)) == len(slots)
        assert all(slot is not None and 0 <= slot < self.slots for slot in slots)
        assert all(plan.decodes.slot(id_) == stay[id_].slot for id_ in plan.decodes)

    def _check_blocks(self, plan: StepPlan, stay: dict[int, ModelRequest]) -> None:
        tables = {id_: list(m.blocks) for id_, m in stay.items()}
        for id_, block in plan.grow:
            tables[id_].append(block)
        for id_ in plan.decodes:
            assert stay[id_].computed < len(tables[id_]) * self.block_size
        tables.update({e.request_id: list(e.blocks) for e in plan.enter})
        used = [block for table in tables.values() for block in table]
        assert len(set(used)) == len(used)
        assert all(0 <= block < self.blocks for block in used)

    def _check_enter(self, enter: Enter, stay: dict[int, ModelRequest]) -> None:
        model = self.requests[enter.request_id]
        assert model.live
        assert enter.request_id not in stay
        assert list(enter.tokens) == model.known
        assert enter.prompt_length == len(model.prompt)
        assert len(enter.tokens) <= len(enter.blocks) * self.block_size

    def _check_chunks(self, plan: StepPlan) -> None:
        chunks = {chunk.request_id: chunk for chunk in plan.chunks}
        assert len(chunks) == len(plan.chunks)
        assert {enter.request_id for enter in plan.enter} <= chunks.keys()
        for id_, chunk in chunks.items():
            model = self.requests[id_]
            assert not model.decoding
            assert chunk.start == model.computed
            end = chunk.start + chunk.length
            assert chunk.start < end <= len(model.known)
            assert chunk.samples == (end == len(model.known))

    def victims(self, plan: StepPlan) -> list[int]:
        """Whom a plan throws out, before it is answered; told again they are none."""
        leaving = [(id_, self.requests[id_]) for id_ in plan.leave]
        return [id_ for id_, m in leaving if m.live and m.slot is not None]

    # --- its answer -----------------------------------------------------------------

    def fail(self, plan: StepPlan) -> None:
        """Nothing was executed; yet who was to be thrown out waits, without its KV.

        The backend has it in its batch until a plan that it executes says otherwise.
        """
        for id_ in self.victims(plan):
            self.requests[id_].leave()

    def apply(self, plan: StepPlan, tokens: dict[RequestId, int]) -> dict[str, int]:
        """Execute a plan; what it cost by tenant, prompts at 1 and outputs at 2."""
        cost: dict[str, int] = {}
        for id_ in plan.leave:
            self.members.pop(id_).leave()
        for id_, block in plan.grow:
            self.members[id_].blocks.append(block)
        for enter in plan.enter:
            model = self.requests[enter.request_id]
            model.blocks, model.slot = list(enter.blocks), enter.slot
            self.members[enter.request_id] = model
        for chunk in plan.chunks:
            model = self.members[chunk.request_id]
            model.computed = chunk.start + chunk.length
            model.decoding = chunk.samples
            paid = max(model.paid, min(model.computed, len(model.prompt)))
            cost[model.tenant] = cost.get(model.tenant, 0) + paid - model.paid
            model.paid = paid
        for id_ in plan.decodes:
            self.members[id_].computed += 1
        for id_, token in tokens.items():
            model = self.members[id_]
            model.outputs.append(token)
            cost[model.tenant] = cost.get(model.tenant, 0) + 2
        return cost


class GapModel:
    """The largest gap in service per weight while two tenants were both backlogged.

    For every pair it keeps the smallest and the largest difference of service since
    both became backlogged; the gap is how far those two are apart, at most.
    """

    def __init__(self, weights: dict[str, float]) -> None:
        self.weights = weights
        self.service: dict[str, Fraction] = {}
        self._ranges: dict[tuple[str, str], tuple[Fraction, Fraction]] = {}
        self.largest = Fraction(0)

    def add(self, name: str, service: int) -> None:
        """A tenant got so much service, not divided by its weight."""
        share = Fraction(service) / Fraction(self.weights.get(name, 1.0))
        self.service[name] = self.of(name) + share

    def of(self, name: str) -> Fraction:
        """Service per weight so far."""
        return self.service.get(name, Fraction(0))

    def observe(self, backlogged: list[str]) -> None:
        """Note the differences now, among those who are backlogged now."""
        pairs = list(combinations(sorted(backlogged), 2))
        self._ranges = {pair: r for pair, r in self._ranges.items() if pair in pairs}
        for one, other in pairs:
            now = self.of(one) - self.of(other)
            low, high = self._ranges.get((one, other), (now, now))
            low, high = min(low, now), max(high, now)
            self._ranges[one, other] = (low, high)
            self.largest = max(self.largest, high - low)
