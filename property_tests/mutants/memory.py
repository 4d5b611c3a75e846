"""Planted bugs in blocks, slots, the calendar of the batch and admission."""

from fairq.kernel._admission import Optimistic, Reserve, blocks_now
from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._draft import Draft
from fairq.kernel._sequence import Sequence
from fairq.kernel._tables import Tables
from property_tests.mutants.patch import Mutant, edit, mutant

BLOCKS: tuple[Mutant, ...] = (
    mutant(
        "a block leaks at the end",
        "Who leaves the batch keeps its first block.",
        edit(Tables.release, "give_back(blocks)", "give_back(blocks[1:])"),
    ),
    mutant(
        "a block leaks at a failure",
        "A plan that failed keeps the first block of each newcomer.",
        edit(Tables.revoke, "give_back(grant.fresh)", "give_back(grant.fresh[1:])"),
    ),
    mutant(
        "blocks come back in another order",
        "After a failure the next plan names other blocks.",
        edit(BlockLedger.give_back, "reversed(tuple(blocks))", "blocks"),
    ),
    mutant(
        "a block is given out twice",
        "Of those that are taken the first stays free.",
        edit(
            BlockLedger.take,
            "del self._free[-free:]",
            "del self._free[len(self._free) - free + 1 :]",
        ),
    ),
    mutant(
        "blocks are rounded down",
        "The last tokens of a sequence have no block.",
        edit(BlockLedger.blocks_for, "-(-tokens // self.size)", "tokens // self.size"),
    ),
    mutant(
        "handed on and free",
        "A block of a victim that a member got is freed once more.",
        edit(Tables.release, "sequence.blocks = []", "pass"),
    ),
    mutant(
        "freed blocks are given twice",
        "All members that grow in a step get the same block.",
        edit(
            Draft.grow,
            "self._life.ledger.take(len(sequences))",
            "self._life.ledger.take(min(1, len(sequences))) * len(sequences)",
        ),
    ),
    mutant(
        "victims keep their blocks",
        "Who is preempted makes room for nobody until the step is answered.",
        edit(Draft.preempt, "self._life.release(sequence)", "pass"),
    ),
    mutant(
        "a failed step undoes its preemptions",
        "Who was thrown out goes on, though its blocks were given to others.",
        edit(Draft.abandon, "self._apply_preemptions()", "pass"),
    ),
    mutant(
        "victims of a failed step are not announced again",
        "The backend is not told who was preempted by a step that it did not do.",
        edit(
            Draft.abandon,
            "self._life.leaving += [sequence.id for sequence in self.preempted]",
            "pass",
        ),
    ),
)

SLOTS: tuple[Mutant, ...] = (
    mutant(
        "a slot is not given back",
        "With each request that leaves the batch gets smaller.",
        edit(Batch.leave, "self.give_back_slot(sequence.slot)", "pass"),
    ),
    mutant(
        "a slot leaks at a failure",
        "A plan that failed keeps the slots of its newcomers.",
        edit(Draft.abandon, "self._life.batch.give_back_slot(entry.slot)", "pass"),
    ),
    mutant(
        "a slot is shared",
        "All members get the lowest slot.",
        edit(Batch.take_slot, "heappop(self._free_slots)", "self._free_slots[0]"),
    ),
    mutant(
        "slots are taken from above",
        "Slots do not stay dense.",
        edit(Batch.take_slot, "heappop(self._free_slots)", "self._free_slots.pop()"),
    ),
)

CALENDAR: tuple[Mutant, ...] = (
    mutant(
        "blocks come a step too late",
        "A member computes a position that has no block.",
        edit(
            Batch._bucket,
            "(sequence.joined - sequence.computed)",
            "(sequence.joined - sequence.computed + 1)",
        ),
    ),
    mutant(
        "blocks come a step too early",
        "A member gets its next block before it needs it.",
        edit(
            Batch._bucket,
            "(sequence.joined - sequence.computed)",
            "(sequence.joined - sequence.computed - 1)",
        ),
    ),
    mutant(
        "the first block comes twice",
        "Who begins to decode gets the block that it has.",
        edit(Batch.due, "if sequence.joined != tick:", "if True:"),
    ),
    mutant(
        "ends come a step too late",
        "A request produces a token more than it may.",
        edit(Batch._last_tick, "collected + left", "collected + left + 1"),
    ),
    mutant(
        "ends come a step too early",
        "A request produces a token less than it may.",
        edit(Batch._last_tick, "collected + left", "collected + left - 1"),
    ),
    mutant(
        "ends are not taken off the calendar",
        "Who has left ends a second time.",
        edit(Batch._stop_decoding, "del self._ends[end][sequence.id]", "pass"),
    ),
    mutant(
        "tokens are picked one off",
        "A member gets the token of the step before.",
        edit(
            Batch.collect,
            "range(len(log) - missing, len(log))",
            "range(len(log) - missing - 1, len(log) - 1)",
        ),
    ),
    mutant(
        "two ticks in a step",
        "The clock of the kernel runs ahead.",
        edit(Batch.advance, "tick += 1", "tick += 2"),
    ),
    mutant(
        "the batch forgets who has left",
        "Tokens of those who are gone count as growth of the batch.",
        edit(Batch.leave, "self._produced_offset -= len(sequence.outputs)", "pass"),
    ),
    mutant(
        "who enters has the first token already",
        "Tokens of members are counted one too high.",
        edit(
            Sequence.produced,
            "len(self.outputs) + self.tenant.clock.tick - self.collected",
            "len(self.outputs) + self.tenant.clock.tick - self.joined",
        ),
    ),
    mutant(
        "outputs are lost at a preemption",
        "Who comes back starts again from its prompt.",
        edit(Sequence.tokens, "if not self.outputs:", "if True:"),
    ),
)

ADMISSION: tuple[Mutant, ...] = (
    mutant(
        "reserve promises the prompt only",
        "The batch may need more than there is.",
        edit(
            Reserve.fits,
            "needed = self._ledger.blocks_for(sequence.worst)",
            "needed = self._ledger.blocks_for(sequence.known)",
        ),
    ),
    mutant(
        "reserve forgets the draft",
        "In one plan too many are admitted.",
        edit(Reserve.fits, "+ self._drawn", ""),
    ),
    mutant(
        "reserve keeps the promises of the gone",
        "The machine fills up with nobody.",
        edit(Reserve.leave, "self._promised -= sequence.promised", "pass"),
    ),
    mutant(
        "one block too many is admitted",
        "A request is admitted when a block is missing.",
        edit(
            Optimistic.fits,
            "if free < 0:",
            "if free < -1:",
            "(growth) <= free",
            "(growth) <= free + 1",
        ),
    ),
    mutant(
        "no block for the first token",
        "Who enters has blocks for what is known, and no more.",
        edit(blocks_now, "min(sequence.known + 1, sequence.worst)", "sequence.known"),
    ),
    mutant(
        "the worst case is one too long",
        "A request that fills the pool to the last position never fits.",
        edit(Sequence.worst, "self.request.max_tokens - 1", "self.request.max_tokens"),
    ),
    mutant(
        "alone is not enough",
        "A forecast keeps out a request that nobody shares the pool with.",
        edit(Optimistic.fits, "members == 1 or", ""),
    ),
    mutant(
        "the forecast learns nothing",
        "The ends of requests do not make it better.",
        edit(Optimistic.leave, "if not ended:", "if True:"),
    ),
    mutant(
        "cancelled requests teach",
        "The forecast learns from lengths that nobody chose.",
        edit(Optimistic.leave, "if not ended:", "if False:"),
    ),
    mutant(
        "the forecast forgets who has left",
        "What was granted to those who are gone still counts as growth.",
        edit(
            Optimistic.leave,
            "self._granted -= sequence.request.max_tokens",
            "pass",
        ),
    ),
    mutant(
        "the forecast forgets the draft",
        "Newcomers of one plan do not count each other's growth.",
        edit(
            Optimistic.draw,
            "self._drawn.granted += sequence.request.max_tokens",
            "pass",
        ),
    ),
    mutant(
        "thrashing teaches nothing",
        "A preemption does not make admission more careful.",
        edit(
            Optimistic.preempted,
            "self._margin += (FIXED - self._margin) // 4",
            "pass",
        ),
    ),
)

MEMORY: tuple[Mutant, ...] = BLOCKS + SLOTS + CALENDAR + ADMISSION
