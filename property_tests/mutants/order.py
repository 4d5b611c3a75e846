"""Planted bugs in whose turn it is, and in what a step holds."""

from fairq.kernel._counters import _by_turn
from fairq.kernel._draft import Draft
from fairq.kernel._heap import LazyHeap
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._newcomers import Newcomers
from fairq.kernel._planner import Planner
from fairq.kernel._tenant import Tenant
from property_tests.mutants.patch import Mutant, edit, mutant

ORDER: tuple[Mutant, ...] = (
    mutant(
        "last in, first out",
        "The newest request of a tenant goes first.",
        edit(
            Lifecycle._queue,
            "tenant.waiting[sequence.id] = sequence",
            "tenant.waiting[sequence.id] = sequence\n"
            "    tenant.waiting.move_to_end(sequence.id, last=False)",
        ),
    ),
    mutant(
        "the head is passed over",
        "The second request of a tenant goes before the first.",
        edit(
            Tenant.head,
            "next(iter(self.waiting.values()), None)",
            "[*self.waiting.values(), None][min(1, max(0, len(self.waiting) - 1))]",
        ),
    ),
    mutant(
        "a victim goes to the tail",
        "Who was preempted waits behind those who came later.",
        edit(
            Tenant.requeue,
            "self.waiting.move_to_end(id_, last=False)",
            "pass",
        ),
    ),
    mutant(
        "the oldest member is the victim",
        "Who has most to lose is preempted.",
        edit(Planner._victim, "member.id)", "-member.id)"),
    ),
    mutant(
        "the victim had least",
        "The tenant with the smallest counter is preempted.",
        edit(Planner._victim, "(member.tenant.counter", "(-member.tenant.counter"),
    ),
    mutant(
        "ties go to the newest",
        "Between equal counters the newer request goes first.",
        edit(_by_turn, "tenant.oldest", "-tenant.oldest"),
    ),
    mutant(
        "ties go by hash",
        "Between equal counters the hash of the name decides.",
        edit(_by_turn, "tenant.oldest", "hash(tenant.name)"),
    ),
    mutant(
        "who arrives last joins first",
        "Tenants that came during a step join in the wrong order.",
        edit(Lifecycle.answered, "tuple(self.arriving)", "[*self.arriving][::-1]"),
    ),
    mutant(
        "bounds are believed",
        "A key that has grown is not looked at again.",
        edit(LazyHeap.top, "if key <= bound:", "if True:"),
    ),
    mutant(
        "stale entries are kept",
        "The heap grows with every refund.",
        edit(
            LazyHeap.add,
            "len(self._entries) > 2 * len(self._current) + STALE",
            "False",
        ),
    ),
    mutant(
        "the sweep takes too much",
        "An item that was added twice is swept away.",
        edit(LazyHeap._sweep, "current.get(e[2]) == e[1]", "current.get(e[2]) == 1"),
    ),
)

GATE: tuple[Mutant, ...] = (
    mutant(
        "the gate ignores the slack",
        "Nobody may pass a request that does not fit.",
        edit(
            Newcomers._admit_in_turn,
            "self._turn(tenant) + self._keeper.width",
            "self._turn(tenant)",
        ),
    ),
    mutant(
        "the gate is twice as wide",
        "Tenants pass that are beyond the slack.",
        edit(
            Newcomers._admit_in_turn,
            "self._turn(tenant) + self._keeper.width",
            "self._turn(tenant) + 2 * self._keeper.width",
        ),
    ),
    mutant(
        "the gate moves along",
        "It is measured anew from each tenant that does not fit.",
        edit(Newcomers._admit_in_turn, "if gate is None and self", "if self"),
    ),
    mutant(
        "there is no gate",
        "Anybody may pass a request that does not fit.",
        edit(Newcomers._admit_in_turn, "self._turn(tenant) > gate", "False"),
    ),
    mutant(
        "first come, first served skips",
        "Without a gate others pass a request that does not fit.",
        edit(
            Newcomers._admit_in_turn,
            "choice is not None:\n            break\n",
            "choice is not None:\n"
            "            backlogged.discard(tenant)\n"
            "            continue\n",
        ),
    ),
    mutant(
        "only two tenants are asked",
        "Room is left empty although a third would fit.",
        edit(Newcomers._admit_in_turn, "lookahead = LOOKAHEAD", "lookahead = 2"),
    ),
    mutant(
        "a step that preempts admits",
        "A newcomer takes what was taken from a victim.",
        edit(Planner.draft, "if not draft.preempted and", "if"),
    ),
    mutant(
        "traces of a draft stay",
        "What a plan has drawn counts after it, too.",
        edit(Newcomers.admit, "tenant.forget_draft()", "pass"),
    ),
    mutant(
        "empty queues stay in the backlog",
        "A tenant without requests has its turn.",
        edit(Lifecycle._unqueue, "not self.waits(tenant)", "False"),
    ),
)

STEPS: tuple[Mutant, ...] = (
    mutant(
        "the budget is exceeded by one",
        "A step computes one position more than it may.",
        edit(
            Draft.__init__,
            "budget - len(lifecycle.batch.decodes)",
            "budget - len(lifecycle.batch.decodes) + 1",
        ),
    ),
    mutant(
        "the budget is spent and still admits",
        "A newcomer enters with an empty chunk.",
        edit(Newcomers._has_room, "draft.budget > 0", "draft.budget >= 0"),
    ),
    mutant(
        "victims leave too much budget",
        "A step that preempts is too large.",
        edit(Draft.preempt, "self.budget += 1", "self.budget += 2"),
    ),
    mutant(
        "a gap between chunks",
        "One position of a prompt is never computed.",
        edit(
            Draft.compute,
            "Chunk(sequence.id, start, length, length == left)",
            "Chunk(sequence.id, start + (start > 0), length, length == left)",
        ),
    ),
    mutant(
        "a chunk samples too early",
        "A token is asked for before the prompt is computed.",
        edit(Draft.compute, "length == left)", "left - length <= 1)"),
    ),
    mutant(
        "victims are not announced",
        "The backend is not told who was preempted.",
        edit(
            Draft.seal,
            ", *(sequence.id for sequence in self.preempted)",
            ",",
        ),
    ),
    mutant(
        "victims decode",
        "Who was preempted is still in the standing batch.",
        edit(Draft._decodes, "if not self.preempted:", "if True:"),
    ),
    mutant(
        "victims go on with their prompts",
        "A chunk of somebody who leaves.",
        edit(Planner._continue_prompts, "if sequence not in draft.preempted:", "if 1:"),
    ),
    mutant(
        "who is gone is announced again",
        "The backend is told twice that a sequence has left.",
        edit(Draft.apply, "self._life.leaving.clear()", "pass"),
    ),
    mutant(
        "a cancelled newcomer is forgotten at once",
        "A request that the outstanding plan lets in does not count as part of it.",
        edit(Draft.involves, "entry.sequence is sequence", "False"),
    ),
    mutant(
        "recomputing is not counted",
        "A preemption forgets how far a sequence was.",
        edit(
            Lifecycle.preempt,
            "sequence.reached = max(sequence.reached, sequence.computed)",
            "sequence.reached = 0",
        ),
    ),
)

ORDERING: tuple[Mutant, ...] = ORDER + GATE + STEPS
