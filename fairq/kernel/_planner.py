"""The policy loop: who computes what in the next step.

The order is that of Sarathi-Serve (OSDI 2024): everybody who decodes, then prompts that
have been begun, then new requests, until the token budget is spent. So a long prompt is
cut into chunks that fill up steps, and never stalls the streams that are running.
"""

from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._newcomers import Gatekeeper, Newcomers
from fairq.kernel._sequence import Sequence
from fairq.policy import Policy


class Planner:
    """Builds drafts.

    Args:
        lifecycle: The live requests.
        budget: Most positions a step may compute.
        policy: Whose turn it is, and in which order.
    """

    __slots__ = ("_budget", "_gatekeeper", "_life")

    def __init__(self, lifecycle: Lifecycle, budget: int, policy: Policy) -> None:
        self._life = lifecycle
        self._budget = budget
        self._gatekeeper = Gatekeeper(lifecycle, policy)

    def draft(self) -> Draft:
        """The next step. Changes nothing but the pools that the draft takes from.

        Cost: O(blocks due + chunks + admissions · log tenants).
        """
        draft = Draft(self._life, self._budget)
        self._grow(draft)
        self._continue_prompts(draft)
        # Whoever was thrown out would be the next to come in: wait a step.
        if not draft.preempted and self._life.waiting:
            Newcomers(draft, self._gatekeeper).admit()
        return draft

    # --- members --------------------------------------------------------------------

    def _grow(self, draft: Draft) -> None:
        """Every member whose next token begins a block gets one."""
        due = self._life.batch.due()
        while len(due) > draft.available:
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
