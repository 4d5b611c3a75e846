"""Planted bugs in what is charged, and in who is measured against whom."""

from fairq.kernel._counters import VirtualCounters
from fairq.kernel._draft import Draft
from fairq.kernel._kernel import Kernel
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant
from property_tests.mutants.patch import Mutant, edit, mutant

LIFT = "tenant.lifted += max(0, floor - tenant.counter)"

LEFT = "not self.waits(tenant)"

LIFTS: tuple[Mutant, ...] = (
    mutant(
        "no lift",
        "An absence banks credit.",
        edit(VirtualCounters.join, LIFT, "pass"),
    ),
    mutant(
        "lift to the largest",
        "Whoever comes back goes to the end of the line.",
        edit(
            VirtualCounters._raise_floor,
            "lowest = self.backlogged.top()",
            "lowest = max(self.backlogged, key=lambda t: t.counter, default=None)",
        ),
    ),
    mutant(
        "lift forgives debts",
        "Who comes back above the floor is let down to it.",
        edit(VirtualCounters.join, LIFT, "tenant.lifted += floor - tenant.counter"),
    ),
    mutant(
        "floor falls",
        "The floor follows the smallest counter down.",
        edit(VirtualCounters._raise_floor, "lowest.counter > self", "0 <= self"),
    ),
    mutant(
        "last left is not noted",
        "Who comes to an empty queue is measured against nobody.",
        edit(VirtualCounters.leave, "self._last_left = tenant", "pass"),
    ),
    mutant(
        "lift at the step boundary only",
        "Who comes back during the step that empties its queue is not lifted.",
        edit(Lifecycle._unqueue, LEFT, "not tenant.waiting"),
    ),
    mutant(
        "leave at the step boundary only",
        "Who comes back during the step that empties its queue has left it last.",
        edit(Lifecycle._unqueue, LEFT, "not tenant.waiting"),
        edit(
            Lifecycle.answered,
            "arrived = tuple(self.arriving)",
            "arrived = tuple(\n"
            "        tenant\n"
            "        for tenant, first in self.arriving.items()\n"
            "        if tenant.waiting and next(iter(tenant.waiting)) >= first\n"
            "    )\n"
            "    for tenant in arrived:\n"
            "        self.counters.leave(tenant)",
        ),
    ),
    mutant(
        "arrivals during a step join at once",
        "Their tenant stays in the backlog although the plan takes its last request.",
        edit(Kernel.submit, "if self._draft is None:", "if True:"),
    ),
    mutant(
        "waiting tenants join again",
        "Who has waited all the time is lifted with those who arrive.",
        edit(
            Lifecycle.answered,
            "tenant.waiting and tenant not in self.counters.backlogged",
            "tenant.waiting",
        ),
    ),
    mutant(
        "debts are forgotten",
        "Who has nothing to do for a moment starts anew at the floor.",
        edit(VirtualCounters.rest, "tenant.counter <= self._floor", "True"),
    ),
    mutant(
        "tenants above the floor are evicted",
        "The arrival of somebody else wipes out a debt.",
        edit(VirtualCounters._evict, "tenant.counter <= self._floor", "True"),
    ),
    mutant(
        "woken tenants count as idle",
        "A tenant with requests can be evicted.",
        edit(VirtualCounters.wake, "self._idle.discard(tenant)", "pass"),
    ),
    mutant(
        "tenants are forgotten too soon",
        "A tenant without a queue is forgotten although its requests run.",
        edit(
            Lifecycle.end,
            "not tenant.waiting and not tenant.running",
            "not tenant.waiting",
        ),
    ),
)

WEIGHTS: tuple[Mutant, ...] = (
    mutant(
        "weights are ignored",
        "Everybody pays as with weight 1.",
        edit(
            VirtualCounters._prices,
            "price(cost.prompt, weight)",
            "price(cost.prompt, 1.0)",
            "price(cost.output, weight)",
            "price(cost.output, 1.0)",
        ),
    ),
    mutant(
        "weights are inverted",
        "Who has the larger weight gets the smaller share.",
        edit(
            VirtualCounters._prices,
            "price(cost.prompt, weight)",
            "price(cost.prompt, 1 / weight)",
            "price(cost.output, weight)",
            "price(cost.output, 1 / weight)",
        ),
    ),
    mutant(
        "prices are exchanged",
        "Outputs cost what prompts should, and the reverse.",
        edit(
            VirtualCounters._prices,
            "price(cost.prompt, weight),\n        price(cost.output, weight),",
            "price(cost.output, weight),\n        price(cost.prompt, weight),",
        ),
    ),
)

CHARGES: tuple[Mutant, ...] = (
    mutant(
        "prompts are charged twice",
        "A prompt costs double.",
        edit(
            VirtualCounters.charge_admission,
            "tenant.prompt_tokens += prompt",
            "tenant.prompt_tokens += 2 * prompt",
        ),
    ),
    mutant(
        "prompts are charged late",
        "A plan does not count the prompts that it has admitted already.",
        edit(Tenant.draw, "self.pending += charge", "pass"),
    ),
    mutant(
        "the first token is free",
        "The token that comes out of a prompt is not charged.",
        edit(Lifecycle.sample, "+= 1 - self.clock.tick", "-= self.clock.tick"),
    ),
    mutant(
        "outputs are charged again at an end",
        "When a request ends, everybody pays once more for the tokens of the step.",
        edit(
            Lifecycle.end,
            "del self.sequences[sequence.id]",
            "del self.sequences[sequence.id]\n"
            "    for each in self.counters.tenants.values():\n"
            "        each.outputs_offset += each.decoding",
        ),
    ),
    mutant(
        "who has left still pays",
        "A request that is over goes on charging its tenant in every step.",
        edit(Lifecycle._stop_rate, "tenant.decoding -= 1", "pass"),
    ),
    mutant(
        "recomputing is charged",
        "A prompt that a preemption threw out is paid again.",
        edit(
            Sequence.unpaid,
            "self.prompt_length - self.paid - self.prepaid",
            "self.prompt_length - self.prepaid",
        ),
    ),
    mutant(
        "a preemption forgets what is prepaid",
        "A prompt that was thrown out half computed is charged whole again.",
        edit(
            Sequence.unpaid,
            "self.prompt_length - self.paid - self.prepaid",
            "self.prompt_length - self.paid",
        ),
    ),
    mutant(
        "a prompt is never settled",
        "What was computed still counts as prepaid, and is refunded at the end.",
        edit(Lifecycle.compute, "sequence.prepaid -= settled", "pass"),
    ),
    mutant(
        "the refund is lost",
        "Prompts that were never computed stay charged.",
        edit(VirtualCounters.refund, "tenant.prompt_tokens -= prompt", "pass"),
    ),
    mutant(
        "the refund is paid twice",
        "Who cancels is paid for it.",
        edit(
            VirtualCounters.refund,
            "tenant.prompt_tokens -= prompt",
            "tenant.prompt_tokens -= 2 * prompt",
        ),
    ),
    mutant(
        "a refund leaves the order stale",
        "Whose counter has fallen is not first, although it should be.",
        edit(VirtualCounters.refund, "self.backlogged.add(tenant)", "pass"),
    ),
    mutant(
        "the floor is not raised before a refund",
        "A refund pulls the floor down with the counter.",
        edit(
            VirtualCounters.refund,
            "    if self.slack is not None:\n        self._raise_floor()\n",
            "",
        ),
    ),
    mutant(
        "a failed step is charged",
        "The prompts of a plan that failed stay on the bill.",
        edit(
            Kernel.fail,
            "draft.abandon()",
            "draft.abandon()\n"
            "    for entry in draft.entries:\n"
            "        entry.sequence.tenant.lifted += entry.charge",
        ),
    ),
    mutant(
        "a refusal is charged",
        "A request that can never fit is paid all the same.",
        edit(
            Kernel._check_size,
            "    if needed > available:\n",
            "    if needed > available:\n"
            "        tenant = self._life.counters.tenant(request.tenant)\n"
            "        tenant.prompt_tokens += len(request.prompt)\n",
        ),
    ),
)

BOUNDS: tuple[Mutant, ...] = (
    mutant(
        "the bound is half of it",
        "The stated gap is Q + O + P.",
        edit(VirtualCounters.gap_bound, "return 2 * (gap", "return (gap"),
    ),
    mutant(
        "the bound leaves out the slack",
        "The stated gap is that of a gate of width 0.",
        edit(VirtualCounters.gap_bound, "self.slack + self.largest", "self.largest"),
    ),
    mutant(
        "the bound leaves out what is owed",
        "A commitment is measured without the outputs.",
        edit(
            VirtualCounters.measure_commitment,
            "charge + tenant.output_price * tenant.owed",
            "charge",
        ),
    ),
    mutant(
        "the bound leaves out prompts",
        "A commitment is measured without the prompts.",
        edit(
            VirtualCounters.measure_commitment,
            "charge + tenant.output_price * tenant.owed",
            "tenant.output_price * tenant.owed",
        ),
    ),
    mutant(
        "the bound leaves out what is prepaid",
        "Prompts that are cut into chunks do not widen the stated gap.",
        edit(VirtualCounters.gap_bound, "+ self.largest_prepaid", ""),
    ),
    mutant(
        "the first prompt is committed",
        "Of several prompts admitted in a step the first counts, not the last.",
        edit(
            Draft._apply_admissions,
            "last[entry.sequence.tenant] = entry.charge",
            "last.setdefault(entry.sequence.tenant, entry.charge)",
        ),
    ),
    mutant(
        "granted tokens are owed for ever",
        "Tokens that a request did not use widen the stated gap of its tenant.",
        edit(
            Lifecycle._leave_batch,
            "tenant.granted -= sequence.request.max_tokens - len(sequence.outputs)",
            "pass",
        ),
    ),
)

CHARGING: tuple[Mutant, ...] = LIFTS + WEIGHTS + CHARGES + BOUNDS
