"""The policy loop: who computes what in the next step.

The order is that of Sarathi-Serve (OSDI 2024): everybody who decodes, then prompts that
have been begun, then new requests, until the token budget is spent. So a long prompt is
cut into chunks that fill up steps, and never stalls the streams that are running.
"""

from typing import Final

from fairq.disciplines import Discipline
from fairq.kernel._admission import blocks_now
from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant

LOOKAHEAD: Final = 32
"""Tenants whose request does not fit that are asked in one plan, the first included."""


class Planner:
    """Builds drafts.

    Args:
        lifecycle: The live requests.
        budget: Most positions a step may compute.
        discipline: Whose turn it is.
    """

    __slots__ = ("_budget", "_life", "_slack", "_turn")

    def __init__(
        self, lifecycle: Lifecycle, budget: int, discipline: Discipline
    ) -> None:
        self._life = lifecycle
        self._budget = budget
        self._turn = discipline.turn
        self._slack = lifecycle.counters.slack

    def draft(self) -> Draft:
        """The next step. Changes nothing but the pools that the draft takes from.

        Cost: O(blocks due + chunks + admissions · log tenants).
        """
        draft = Draft(self._life, self._budget)
        self._grow(draft)
        self._continue_prompts(draft)
        # Whoever was thrown out would be the next to come in: wait a step.
        if not draft.preempted and self._life.waiting:
            self._admit(draft)
        return draft

    # --- members --------------------------------------------------------------------

    def _grow(self, draft: Draft) -> None:
        """Every member whose next token begins a block gets one."""
        due = self._life.batch.due()
        while len(due) > draft.free:
            victim = self._victim(draft)
            draft.preempt(victim)
            if victim in due:
                due.remove(victim)
        draft.grow(due)

    def _victim(self, draft: Draft) -> Sequence:
        """The newest member of the tenant with the largest counter. O(batch)."""
        gone = {sequence.id for sequence in draft.preempted}
        life = self._life
        members = [life.sequences[id_] for id_ in life.batch.decodes if id_ not in gone]
        members += [s for s in life.batch.prefilling.values() if s.id not in gone]
        # Somebody is due, and alone it would fit: there is a member.
        return max(members, key=lambda member: (member.tenant.counter, member.id))

    def _continue_prompts(self, draft: Draft) -> None:
        for sequence in self._life.batch.prefilling.values():
            if draft.budget <= 0:
                return
            if sequence not in draft.preempted:
                draft.compute(sequence, sequence.computed)

    # --- newcomers ------------------------------------------------------------------

    def _admit(self, draft: Draft) -> None:
        """Let tenants in by turn, until budget, slots, blocks or tenants run out.

        Whoever is first is inside the gate. When its request does not fit, others may
        pass it that are within the slack of it.
        """
        backlogged = self._life.counters.backlogged
        self._life.rule.begin(draft.free)
        touched: dict[Tenant, None] = {}
        gate: int | None = None
        lookahead = LOOKAHEAD
        while draft.budget > 0 and self._life.batch.free_slots and lookahead:
            tenant = backlogged.top()
            if tenant is None or (gate is not None and self._turn(tenant) > gate):
                break
            touched[tenant] = None
            if self._try(draft, tenant):
                continue
            if self._slack is None:
                break
            if gate is None:
                gate = self._turn(tenant) + self._slack
            backlogged.discard(tenant)
            lookahead -= 1
        for tenant in touched:
            tenant.forget_draft()
            backlogged.add(tenant)

    def _try(self, draft: Draft, tenant: Tenant) -> bool:
        """Admit the oldest request of a tenant, if it fits."""
        head = tenant.head()
        assert head is not None  # noqa: S101  # backlogged tenants have one
        rule = self._life.rule
        blocks = blocks_now(head, self._life.ledger)
        if not rule.fits(head, blocks):
            return False
        rule.draw(head, blocks)
        draft.admit(head, blocks)
        tenant.draw(tenant.prompt_price * head.unpaid)
        if tenant.head() is None:
            self._life.counters.backlogged.discard(tenant)
        return True
