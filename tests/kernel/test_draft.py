import attrs
import pytest

from fairq import Admission, Kernel, Policy, Request, RequestId, StepId, StepPlan
from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from tests.kernel.driving import Loop, capacity
from tests.kernel.parts import admit, arrive, grant, lifecycle


def let_in(draft: Draft, life: Lifecycle, waiting: Sequence, blocks: int) -> None:
    """Admit somebody with a table of so many blocks."""
    charge = waiting.tenant.prompt_price * waiting.unpaid
    draft.admit(waiting, grant(life, waiting, blocks), charge)


def without_id(plan: StepPlan) -> StepPlan:
    return attrs.evolve(plan, step_id=StepId(0))


def crowded() -> Loop:
    """Two tenants, a queue, and not enough blocks for everybody to grow."""
    policy = Policy(admission=Admission.OPTIMISTIC)
    loop = Loop(capacity(blocks=12, sequences=6, tokens=16), policy)
    for number in range(12):
        name = "ab"[number % 2]
        loop.submit(name, length=3 + number % 5, max_tokens=6 + number)
    return loop


def victims(loop: Loop) -> set[RequestId]:
    """Whom the outstanding plan throws out; ``leave`` has those of failed ones too."""
    draft = loop.kernel._draft
    assert draft is not None
    return {sequence.id for sequence in draft.preempted}


def preempting() -> tuple[Loop, StepPlan]:
    """A loop with an outstanding plan that throws somebody out."""
    loop = crowded()
    plan = loop.plan()
    while not victims(loop):
        loop.answer(plan)
        plan = loop.plan()
    return loop, plan


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_an_abandoned_draft_that_preempts_nobody_leaves_no_trace(steps: int) -> None:
    loop = crowded()
    loop.steps(steps)
    life = loop.kernel._life
    before, free = loop.kernel.snapshot(), life.ledger.free_blocks()
    plan = loop.plan()
    while victims(loop):
        loop.answer(plan)
        before, free = loop.kernel.snapshot(), life.ledger.free_blocks()
        plan = loop.plan()
    loop.fail(plan)
    assert before == loop.kernel.snapshot()
    assert free == loop.kernel._life.ledger.free_blocks()
    assert without_id(plan) == without_id(loop.plan())


def test_the_kernel_goes_on_as_if_failed_steps_had_not_been() -> None:
    smooth, rough = crowded(), crowded()
    smooth.run()
    failed = 0
    while rough.live:
        plan = rough.plan()
        if plan.step_id % 3 == 0 and not victims(rough):
            rough.fail(plan)
            failed += 1
        else:
            rough.answer(plan)
    assert failed > 9
    assert smooth.received == rough.received
    assert list(map(without_id, smooth.plans)) == list(map(without_id, rough.plans))
    assert smooth.preempted
    assert smooth.preempted == rough.preempted


def test_steps_that_preempt_and_fail_lose_no_token() -> None:
    smooth, rough = crowded(), crowded()
    smooth.run()
    failed = 0
    while rough.live:
        plan = rough.plan()
        if victims(rough):
            rough.fail(plan)
            failed += 1
        else:
            rough.answer(plan)
    assert failed > 1
    assert smooth.received == rough.received


def test_a_failed_step_keeps_its_preemptions() -> None:
    loop, plan = preempting()
    out = victims(loop)
    assert loop.kernel.snapshot().preemptions == 0
    assert out == set(loop.fail(plan).preempted)
    after = loop.kernel.snapshot()
    assert len(out) == after.preemptions
    thrown_out = [r for r in after.requests if r.request_id in out]
    assert all(r.phase is Phase.WAITING and r.blocks == () for r in thrown_out)


def test_after_a_failed_step_the_backend_is_told_again_who_was_thrown_out() -> None:
    loop, plan = preempting()
    loop.fail(plan)
    again = loop.step()
    assert plan.leave == again.leave
    assert not set(plan.leave) & set(again.decodes)


def test_a_failed_step_blames_whoever_it_threw_out_for_nothing() -> None:
    """Its computation was not part of the step."""
    loop, plan = preempting()
    out = victims(loop)
    loop.fail(plan)
    assert not out & set(loop.kernel._failures)
    assert set(plan.decodes) <= set(loop.kernel._failures)


def test_a_sequence_whose_blocks_were_given_away_never_decodes_on() -> None:
    """The failed step may have written there, whoever has the blocks now.

    Cancelling whoever got them makes room again: the plan after the failure need not
    throw anybody out, and must not go on with what the victim once had.
    """
    loop, plan = preempting()
    out = victims(loop)
    loop.fail(plan)
    for request_id, _ in plan.grow:
        loop.cancel(request_id)
    after = loop.plan()
    assert out <= set(after.leave)
    assert not out & set(after.decodes)
    starts = {chunk.request_id: chunk.start for chunk in after.chunks}
    assert all(starts.get(request_id, 0) == 0 for request_id in out)


def test_whoever_is_cancelled_while_a_plan_throws_it_out_is_not_preempted() -> None:
    loop, plan = preempting()
    out = victims(loop)
    for request_id in out:
        loop.cancel(request_id)
    assert loop.fail(plan).preempted == ()
    again = loop.step()
    assert sorted(plan.leave) == sorted(again.leave)


def test_a_repeated_plan_gets_a_new_id() -> None:
    loop = crowded()
    first = loop.plan()
    loop.fail(first)
    assert loop.plan().step_id == first.step_id + 1


def test_a_chunk_is_cut_to_the_budget() -> None:
    life = lifecycle()
    draft = Draft(life, budget=6)
    let_in(draft, life, arrive(life, 0, length=10), blocks=3)
    plan = draft.seal(StepId(0))
    assert [(0, 6, False)] == [(c.start, c.length, c.samples) for c in plan.chunks]
    assert draft.budget == 0
    assert draft.sampling() == []


def test_a_chunk_that_reaches_the_end_samples() -> None:
    life = lifecycle()
    draft = Draft(life, budget=16)
    let_in(draft, life, arrive(life, 0, length=10), blocks=3)
    assert draft.sampling() == [0]
    assert draft.budget == 6


def test_building_changes_nothing_but_the_pools() -> None:
    life = lifecycle()
    waiting = arrive(life, 0, length=10)
    before = waiting.snapshot()
    draft = Draft(life, budget=16)
    let_in(draft, life, waiting, blocks=3)
    assert before == waiting.snapshot()
    assert waiting.tenant.counter == 0
    assert life.waiting == 1
    assert life.ledger.free == life.ledger.total - 3
    assert life.batch.free_slots == 7


def test_abandoning_returns_blocks_and_slots_in_order() -> None:
    life = lifecycle()
    before = life.ledger.free_blocks()
    draft = Draft(life, budget=16)
    for number in range(3):
        let_in(draft, life, arrive(life, number), blocks=2)
    draft.abandon()
    assert before == life.ledger.free_blocks()
    assert [0, 1, 2] == [life.batch.take_slot() for _ in range(3)]


def test_a_victim_that_would_have_decoded_frees_its_part_of_the_budget() -> None:
    life = lifecycle()
    member = admit(life, arrive(life, 0))
    waiting = admit(life, arrive(life, 1))
    life.batch.begin_decoding(member, 7)
    draft = Draft(life, budget=6)
    assert draft.budget == 5
    draft.preempt(waiting)
    assert draft.budget == 5  # it does not decode yet
    draft.preempt(member)
    assert draft.budget == 6


def test_whoever_is_to_enter_is_involved_and_whoever_waits_is_not() -> None:
    life = lifecycle()
    entering, waiting = arrive(life, 0), arrive(life, 1)
    draft = Draft(life, budget=16)
    let_in(draft, life, entering, blocks=2)
    assert draft.involves(entering)
    assert not draft.involves(waiting)


def test_an_entering_sequence_is_described_in_full() -> None:
    life = lifecycle()
    waiting = arrive(life, 0, length=5)
    draft = Draft(life, budget=16)
    let_in(draft, life, waiting, blocks=2)
    (enter,) = draft.seal(StepId(4)).enter
    assert (0, 0, 5, (0, 1), 0, None) == (
        enter.request_id,
        enter.slot,
        enter.prompt_length,
        enter.blocks,
        enter.cached,
        enter.sampling,
    )
    assert waiting.request.prompt == enter.tokens


def test_the_table_of_a_victim_may_be_reused_in_the_same_plan() -> None:
    loop = crowded()
    while not loop.preempted:
        loop.step()
    plan = loop.plans[-1]
    assert plan.leave
    assert plan.grow
    # The witness has accepted it: leave came first, and no block was in two tables.
    assert set(plan.leave) <= set(loop.preempted)
    assert not plan.enter


def test_the_decode_set_of_a_plan_lacks_the_victims() -> None:
    loop = crowded()
    before = loop.kernel.snapshot()
    while not loop.preempted:
        before = loop.kernel.snapshot()
        loop.step()
    running = {r.request_id for r in before.requests if r.phase is Phase.DECODING}
    victims = set(loop.preempted)
    assert running - victims == set(loop.plans[-1].decodes)


def test_what_the_caller_says_of_sampling_reaches_the_backend_untouched() -> None:
    sampling = {"temperature": 0.5}
    kernel = Kernel(capacity())
    kernel.submit(Request(tenant="a", prompt=[1], max_tokens=1, sampling=sampling))

    plan = kernel.plan()

    assert isinstance(plan, StepPlan)
    assert plan.enter[0].sampling is sampling
