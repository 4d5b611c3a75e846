import pytest

from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant
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
    for member in queue[:taken]:
        new.draw(member, charge=40, outputs=4)
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
    new.draw(first, charge=40, outputs=4)
    before = new.has_drawn
    assert new.head() is None
    new.forget_draft()
    assert (True, False) == (before, new.has_drawn)
    assert new.head() is first
    assert new.oldest_few(9) == [first]
    assert new.pending_outputs == 0
    assert new.oldest == 0
    assert new.counter == 0


def test_tenants_are_told_apart_by_identity() -> None:
    assert tenant("a") != tenant("a")
    assert len({tenant("a"), tenant("a")}) == 2


# --- any order inside the queue -----------------------------------------------------


def queued(count: int) -> tuple[Tenant, list[Sequence]]:
    new = tenant()
    queue = [sequence(number, new) for number in range(count)]
    new.waiting.update((member.id, member) for member in queue)
    return new, queue


def test_a_request_taken_from_the_middle_leaves_the_head_where_it_is() -> None:
    new, queue = queued(3)
    new.draw(queue[1], charge=40, outputs=4)
    assert new.head() is queue[0]
    assert new.oldest_few(9) == [queue[0], queue[2]]


def test_the_head_is_the_oldest_that_is_left_in_whatever_order_they_are_taken() -> None:
    new, queue = queued(4)
    for taken, head in [(2, 0), (0, 1), (1, 3), (3, None)]:
        new.draw(queue[taken], charge=1, outputs=1)
        assert new.head() is (None if head is None else queue[head])
    assert (4, 4) == (new.pending, new.pending_outputs)


def test_only_so_many_of_the_oldest_are_looked_at() -> None:
    new, queue = queued(5)
    assert new.oldest_few(2) == queue[:2]
    new.draw(queue[0], charge=1, outputs=1)
    assert new.oldest_few(2) == queue[1:3]


def test_those_that_pass_the_oldest_are_counted() -> None:
    new, queue = queued(4)
    assert new.passing == 0
    new.draw(queue[2], charge=1, outputs=1)
    new.draw(queue[3], charge=1, outputs=1)
    assert new.passing == 2
    new.passed = 5
    assert new.passing == 7


def test_nobody_has_passed_who_only_now_is_the_oldest() -> None:
    new, queue = queued(4)
    new.passed = 5
    new.draw(queue[0], charge=1, outputs=1)
    assert new.passing == 0
    new.draw(queue[3], charge=1, outputs=1)
    assert new.passing == 1


def test_in_an_empty_queue_nobody_is_passed() -> None:
    new, _ = queued(0)
    assert new.passing == 0


@pytest.mark.parametrize("back", range(5))
def test_a_request_that_comes_back_has_its_place_by_age(back: int) -> None:
    new, queue = queued(5)
    del new.waiting[queue[back].id]
    new.requeue(queue[back])
    assert list(range(5)) == list(new.waiting)
    assert new.waiting[queue[back].id] is queue[back]
