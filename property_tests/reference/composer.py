"""What the next step computes. Looks at the state and changes nothing."""

from fractions import Fraction

from property_tests.reference.request import RequestModel
from property_tests.reference.state import State
from property_tests.reference.step import ChunkModel, EntryModel, StepModel
from property_tests.reference.tenant import TenantModel

LOOKAHEAD = 32
"""Tenants that are asked in vain in one plan."""


class Composer:
    """Decodes first, then prompts that were begun, then newcomers by turn."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rules = state.rules
        self.step = StepModel(leave=list(state.leaving))

    def compose(self) -> StepModel:
        self._grow()
        gone = self.step.preempted
        self.step.decodes = [r for r in self._state.decoding if r not in gone]
        for request in self._state.prefilling:
            if request not in gone:
                self._compute(request)
        self.step.leave += [request.id for request in gone]
        if not gone:
            self._admit()
        return self.step

    def _compute(self, request: RequestModel) -> None:
        """As much as the budget leaves, from where it stands."""
        left = self._rules.budget - self.step.tokens
        length = min(len(request.known) - request.computed, left)
        if length:
            self.step.chunks.append(ChunkModel(request, request.computed, length))

    # --- blocks for members ---------------------------------------------------------

    def _grow(self) -> None:
        """A block for everybody whose next position begins one, preempting for it."""
        size = self._rules.block_size
        full = [r for r in self._state.decoding if r.computed == size * len(r.blocks)]
        free = list(self._state.free)
        while len(full) > len(free):
            victim = self._victim()
            self.step.preempted.append(victim)
            free = victim.blocks + free
            full = [request for request in full if request is not victim]
        self.step.taken = free[: len(full)]
        self.step.grow = list(zip(full, self.step.taken, strict=True))

    def _victim(self) -> RequestModel:
        """The newest member of the tenant with the largest counter."""
        members = [r for r in self._state.batch if r not in self.step.preempted]
        tenants = self._state.counters.tenants
        return max(members, key=lambda r: (tenants[r.tenant].counter, r.id))

    # --- newcomers ------------------------------------------------------------------

    def _admit(self) -> None:
        """By turn; whoever does not fit may be passed by those within the slack."""
        vain: list[TenantModel] = []
        gate: Fraction | None = None
        while self._room() and len(vain) < LOOKAHEAD:
            tenant = self._next(vain)
            if tenant is None or (gate is not None and self._turn(tenant) > gate):
                return
            if self._try(tenant):
                continue
            if self._rules.gate is None:
                return
            if gate is None:
                gate = self._turn(tenant) + self._rules.gate
            vain.append(tenant)

    def _room(self) -> bool:
        members = len(self._state.batch) + len(self.step.enter)
        return self.step.tokens < self._rules.budget and members < self._rules.slots

    def _left(self, tenant: TenantModel) -> list[RequestModel]:
        """Its queue without those who enter with this step."""
        return [each for each in tenant.queue if each not in self.step.entering]

    def _turn(self, tenant: TenantModel) -> Fraction:
        """Its counter with what this step charges; its oldest request without gate."""
        if self._rules.gate is None:
            return Fraction(self._left(tenant)[0].id)
        mine = [each for each in self.step.entering if each.tenant == tenant.name]
        charge = tenant.prompt_price * sum(each.unpaid for each in mine)
        return tenant.counter + charge

    def _next(self, vain: list[TenantModel]) -> TenantModel | None:
        """Whose turn it is; ties go to the older request."""
        asked = [
            tenant
            for tenant in self._state.counters.backlog
            if tenant not in vain and self._left(tenant)
        ]
        turns = [(self._turn(each), self._left(each)[0].id, each) for each in asked]
        return min(turns, key=lambda turn: turn[:2])[2] if turns else None

    def _try(self, tenant: TenantModel) -> bool:
        """Admit its oldest request, if it fits."""
        head = self._left(tenant)[0]
        batch = self._state.batch + self.step.entering
        free = self._state.free[len(self.step.taken) :]
        if not self._state.admission.fits(batch, head, len(free)):
            return False
        blocks = free[: self._state.admission.blocks(head)]
        self.step.taken += blocks
        self.step.enter.append(EntryModel(head, self._slot(), blocks))
        self._compute(head)
        return True

    def _slot(self) -> int:
        """The lowest that is free."""
        used = [request.slot for request in self._state.batch]
        used += [entry.slot for entry in self.step.enter]
        return min(slot for slot in range(self._rules.slots) if slot not in used)
