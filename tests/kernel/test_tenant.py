import pytest

from fairq.kernel._clock import StepClock
from tests.kernel.parts import sequence, tenant


def test_a_new_tenant_owes_and_is_owed_nothing() -> None:
    new = tenant()
    assert (0, 0, 0) == (new.counter, new.outputs, new.owed)
    assert new.head() is None


def test_the_counter_adds_prompts_outputs_and_lifts() -> None:
    new = tenant()
    new.lifted = 7
    new.prompt_tokens = 3
    new.outputs_offset = 2
    assert new.counter == 7 + 10 * 3 + 100 * 2


def test_decoding_members_charge_by_the_step_without_being_visited() -> None:
    clock = StepClock(tick=5)
    new = tenant(clock=clock)
    new.decoding = 3
    new.outputs_offset = -3 * 5
    assert new.counter == 0
    clock.tick = 9
    assert new.outputs == 12
    assert new.counter == 1200


def test_what_is_owed_is_granted_less_produced() -> None:
    clock = StepClock()
    new = tenant(clock=clock)
    new.granted, new.decoding = 10, 1
    clock.tick = 4
    assert new.owed == 6


@pytest.mark.parametrize("taken", range(4))
def test_a_draft_takes_the_queue_from_its_head(taken: int) -> None:
    new = tenant()
    queue = [sequence(number, new) for number in range(3)]
    new.waiting.update((member.id, member) for member in queue)
    for _ in range(min(taken, 3)):
        new.draw(charge=40)
    head = new.head()
    assert (queue[taken] if taken < 3 else None) is head
    if head is not None:
        assert new.oldest == taken
    assert new.counter == 40 * taken
    assert len(new.waiting) == 3


def test_forgetting_a_draft_restores_head_and_counter() -> None:
    new = tenant()
    first = sequence(0, new)
    new.waiting[first.id] = first
    new.draw(charge=40)
    assert new.head() is None
    new.forget_draft()
    assert new.head() is first
    assert new.oldest == 0
    assert new.counter == 0


def test_tenants_are_told_apart_by_identity() -> None:
    assert tenant("a") != tenant("a")
    assert len({tenant("a"), tenant("a")}) == 2
