from itertools import product

import pytest

from fairq import InvariantError, RequestId, TokenIds
from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import NEXT
from fairq.kernel._snapshot import Phase
from tests.kernel.parts import sequence, tenant


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_only_the_moves_of_the_diagram_are_legal(before: Phase, after: Phase) -> None:
    new = sequence(3, tenant())
    new.phase = before
    if after in NEXT[before]:
        new.move(after)
        assert after is new.phase
        return
    with pytest.raises(InvariantError, match="Request 3 went from"):
        new.move(after)
    assert before is new.phase


def test_nothing_follows_after_the_end() -> None:
    assert NEXT[Phase.OVER] == ()


def test_every_phase_but_the_end_leads_to_it() -> None:
    assert all(Phase.OVER in NEXT[phase] for phase in Phase if NEXT[phase])


def test_a_decoding_sequence_counts_tokens_by_the_clock() -> None:
    clock = StepClock(tick=10)
    new = sequence(0, tenant(clock=clock), length=6)
    new.outputs.append(1)
    new.phase, new.collected = Phase.DECODING, 10
    assert (1, 7) == (new.produced, new.known)
    clock.tick = 12
    assert (3, 9) == (new.produced, new.known)


def test_the_last_token_needs_no_position() -> None:
    assert sequence(0, tenant(), length=6, max_tokens=1).worst == 6
    assert sequence(0, tenant(), length=6, max_tokens=10).worst == 15


def test_what_was_paid_once_is_not_paid_again() -> None:
    new = sequence(0, tenant(), length=6)
    assert new.unpaid == 6
    new.paid = 4
    assert new.unpaid == 2


def test_known_tokens_are_prompt_and_outputs() -> None:
    new = sequence(0, tenant(), length=2)
    assert new.request.prompt is new.tokens()
    new.outputs.extend([7, 8])
    assert TokenIds([1, 2, 7, 8]) == new.tokens()


def test_a_pick_finds_the_token_of_its_sequence() -> None:
    new = sequence(3, tenant())
    new.prepare_pick()
    assert new.pick is not None
    assert new.pick({RequestId(3): 42, RequestId(4): 43}) == 42


def test_a_pick_is_made_once() -> None:
    new = sequence(3, tenant())
    new.prepare_pick()
    pick = new.pick
    new.prepare_pick()
    assert pick is new.pick


def test_a_snapshot_does_not_follow_the_sequence() -> None:
    new = sequence(0, tenant(), length=2)
    taken = new.snapshot()
    new.outputs.append(5)
    assert taken.output_tokens == 0
    assert new.snapshot().output_tokens == 1
