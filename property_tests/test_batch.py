"""The calendar of the batch says what a look at every member would say."""

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fairq import RequestId
from fairq.kernel import Phase
from fairq.kernel._batch import Batch
from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from property_tests.parts import make_sequence, make_tenant


@attrs.define(eq=False)
class Naive:
    """One sequence, with everything counted step by step."""

    sequence: Sequence
    max_tokens: int
    outputs: list[int] = attrs.field(factory=list)
    computed: int = 0
    phase: Phase = Phase.WAITING
    fresh: bool = False
    """It began to decode in the last step, with the block for its next position."""

    @property
    def known(self) -> int:
        return self.sequence.prompt_length + len(self.outputs)


class BatchMachine(RuleBasedStateMachine):
    """Members enter, decode, end, are preempted and come back."""

    batch: Batch

    @initialize(slots=st.integers(1, 6), block_size=st.integers(1, 5))
    def start(self, slots: int, block_size: int) -> None:
        self.clock = StepClock()
        self.tenant = make_tenant(self.clock)
        self.batch = Batch(slots, block_size, self.clock)
        self.all: list[Naive] = []
        self.free = list(range(slots))
        self.order: list[Naive] = []
        """Who decodes, in the order of joining."""

    def members(self, phase: Phase) -> list[Naive]:
        return [each for each in self.all if each.phase is phase]

    @rule(prompt=st.integers(1, 12), max_tokens=st.integers(1, 20))
    def submit(self, prompt: int, max_tokens: int) -> None:
        number = len(self.all)
        sequence = make_sequence(number, self.tenant, prompt, max_tokens)
        self.all.append(Naive(sequence, max_tokens))

    @precondition(lambda self: self.free and self.members(Phase.WAITING))
    @rule()
    def enter(self) -> None:
        member = self.members(Phase.WAITING)[0]
        slot = self.batch.take_slot()
        assert min(self.free) == slot
        self.free.remove(slot)
        self.batch.enter(member.sequence, slot)
        member.phase = Phase.PREFILLING
        member.computed = 0

    @rule(count=st.integers(1, 12), data=st.data())
    def step(self, count: int, data: st.DataObject) -> None:
        """Some steps, in each of which some prompts may be done."""
        for _ in range(count):
            self.one_step(data.draw(st.integers(0, 3)))

    def one_step(self, joining: int) -> None:
        self.check_due()
        fresh = self.members(Phase.PREFILLING)[:joining]
        tokens = {
            each.sequence.id: 1000 * len(each.outputs) + each.sequence.id
            for each in [*self.order, *fresh]
        }
        for each in self.order:
            each.computed += 1
            each.fresh = False
            each.outputs.append(tokens[each.sequence.id])
        self.batch.advance(tokens)
        for each in fresh:
            self.join(each, tokens[each.sequence.id])
        self.end_those_who_are_done()

    def join(self, member: Naive, token: int) -> None:
        member.computed = member.sequence.computed = member.known
        self.batch.begin_decoding(member.sequence, token)
        member.outputs.append(token)
        member.phase, member.fresh = Phase.DECODING, True
        self.order.append(member)

    def end_those_who_are_done(self) -> None:
        done = [each for each in self.order if len(each.outputs) == each.max_tokens]
        ending = dict(self.batch.ending())
        assert sorted(each.sequence.id for each in done) == sorted(ending)
        for each in done:
            self.leave(each, Phase.OVER)

    def check_due(self) -> None:
        """Asked twice, as when the plan between has failed."""
        size = self.batch.block_size
        expected = sorted(
            each.sequence.id
            for each in self.order
            if each.computed % size == 0 and not each.fresh
        )
        assert expected == sorted(each.id for each in self.batch.due())
        assert expected == sorted(each.id for each in self.batch.due())

    def leave(self, member: Naive, phase: Phase) -> None:
        slot = member.sequence.slot
        self.batch.leave(member.sequence, phase)
        self.free.append(slot)
        if member in self.order:
            self.order.remove(member)
        member.phase = phase
        assert member.outputs == list(member.sequence.outputs)
        assert member.computed == member.sequence.computed
        member.sequence.computed = 0

    @precondition(lambda self: bool(len(self.batch)))
    @rule(data=st.data(), phase=st.sampled_from([Phase.WAITING, Phase.OVER]))
    def throw_out(self, data: st.DataObject, phase: Phase) -> None:
        """Preempted or cancelled, in the middle of whatever it does."""
        members = [*self.members(Phase.PREFILLING), *self.order]
        self.leave(data.draw(st.sampled_from(members)), phase)

    @precondition(lambda self: self.order)
    @rule(data=st.data())
    def collect(self, data: st.DataObject) -> None:
        """At any time; it cannot be seen but in the outputs."""
        member = data.draw(st.sampled_from(self.order))
        self.batch.collect(member.sequence)
        assert member.outputs == list(member.sequence.outputs)

    @invariant()
    def counts_are_right(self) -> None:
        if not hasattr(self, "batch"):
            return
        members = [*self.members(Phase.PREFILLING), *self.order]
        assert len(members) == len(self.batch)
        assert sum(len(each.outputs) for each in members) == self.batch.produced
        assert len(self.free) == self.batch.free_slots
        assert 2 * len(self.order) == self.batch.calendar_entries
        for each in self.all:
            assert len(each.outputs) == each.sequence.produced
            assert each.known == each.sequence.known

    @invariant()
    def everybody_is_where_it_should_be(self) -> None:
        if not hasattr(self, "batch"):
            return
        ids = [each.sequence.id for each in self.order]
        assert ids == list(self.batch.decodes)
        for each in self.order:
            assert each.sequence.slot == self.batch.decodes.slot(each.sequence.id)
        assert all(self.batch.knows(each.sequence) for each in self.order)
        prefilling = [each.sequence.id for each in self.members(Phase.PREFILLING)]
        assert sorted(prefilling) == sorted(self.batch.prefilling)
        assert RequestId(-1) not in self.batch.decodes


BatchMachine.TestCase.settings = settings(
    max_examples=max(10, settings().max_examples // 2), stateful_step_count=30
)
TestBatch = BatchMachine.TestCase
