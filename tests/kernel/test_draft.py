import attrs
import pytest

from fairq import Admission, Kernel, Policy, Request, StepId, StepPlan
from fairq.kernel._draft import Draft
from fairq.kernel._snapshot import Phase
from tests.kernel.driving import Loop, capacity
from tests.kernel.parts import admit, arrive, lifecycle


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


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_an_abandoned_draft_leaves_no_trace(steps: int) -> None:
    loop = crowded()
    loop.steps(steps)
    before = loop.kernel.snapshot()
    ledger = loop.kernel._life.ledger.free_blocks()
    plan = loop.plan()
    loop.fail(plan)
    assert before == loop.kernel.snapshot()
    assert ledger == loop.kernel._life.ledger.free_blocks()
    assert without_id(plan) == without_id(loop.plan())


def test_the_kernel_goes_on_as_if_failed_steps_had_not_been() -> None:
    smooth, rough = crowded(), crowded()
    smooth.run()
    for number in range(10_000):
        if not rough.live:
            break
        if number % 3 == 0:
            rough.fail(rough.plan())
        rough.step()
    assert smooth.received == rough.received
    assert list(map(without_id, smooth.plans)) == list(map(without_id, rough.plans))
    assert smooth.preempted
    assert smooth.preempted == rough.preempted


def test_a_repeated_plan_gets_a_new_id() -> None:
    loop = crowded()
    first = loop.plan()
    loop.fail(first)
    assert loop.plan().step_id == first.step_id + 1


def test_a_chunk_is_cut_to_the_budget() -> None:
    life = lifecycle()
    draft = Draft(life, budget=6)
    draft.admit(arrive(life, 0, length=10), blocks=3)
    plan = draft.seal(StepId(0))
    assert [(0, 6, False)] == [(c.start, c.length, c.samples) for c in plan.chunks]
    assert draft.budget == 0
    assert draft.sampling() == []


def test_a_chunk_that_reaches_the_end_samples() -> None:
    life = lifecycle()
    draft = Draft(life, budget=16)
    draft.admit(arrive(life, 0, length=10), blocks=3)
    assert draft.sampling() == [0]
    assert draft.budget == 6


def test_building_changes_nothing_but_the_pools() -> None:
    life = lifecycle()
    waiting = arrive(life, 0, length=10)
    before = waiting.snapshot()
    draft = Draft(life, budget=16)
    draft.admit(waiting, blocks=3)
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
        draft.admit(arrive(life, number), blocks=2)
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
    draft.admit(entering, blocks=2)
    assert draft.involves(entering)
    assert not draft.involves(waiting)


def test_an_entering_sequence_is_described_in_full() -> None:
    life = lifecycle()
    waiting = arrive(life, 0, length=5)
    draft = Draft(life, budget=16)
    draft.admit(waiting, blocks=2)
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
