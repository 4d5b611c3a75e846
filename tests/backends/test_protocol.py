"""Every way to break the step protocol is refused, and changes nothing."""

import attrs
import pytest

from fairq import BackendError, BlockId, Chunk, StepPlan
from fairq_backends.simulated import (
    ProtocolViolation,
    SimulatedBackend,
    token_at,
    token_key,
)
from tests.backends._plans import chunk, enter, plan


@pytest.fixture
def backend() -> SimulatedBackend:
    """Requests 0 and 1 decode, 2 is in the middle of its prompt; blocks of 4.

    Request 0 has context 4 and one full block; 1 has context 5 and blocks 1 and 2.
    """
    made = SimulatedBackend(
        kv_tokens=64, block_size=4, max_sequences=5, tokens_per_step=20, strict=True
    )
    first = plan(
        0,
        enter=[
            enter(0, range(3), [0]),
            enter(1, range(4), [1]),
            enter(2, range(8), [3, 4]),
        ],
        chunks=[chunk(0, 0, 3), chunk(1, 0, 4), chunk(2, 0, 5, samples=False)],
    )
    made.step(first)
    made.step(plan(1, grow=[(1, 2)], decodes=[0, 1]))
    return made


def refused(backend: SimulatedBackend, bad: StepPlan, why: str) -> None:
    """The plan is refused with that message, and a good one runs as if never sent."""
    with pytest.raises(ProtocolViolation, match=why) as caught:
        backend.step(bad)
    assert bad.step_id == caught.value.step_id
    good = plan(5, grow=[(0, 9)], chunks=[chunk(2, 5, 3)], decodes=[0, 1])
    result = backend.step(good)
    tokens = {name: token_at(key(name), position) for name, position in NEXT.items()}
    assert tokens == result.tokens
    # Least time, 9 positions of context in a mixed step, 3 * (5 + 1.5) pairs,
    # 3 samples, overhead.
    parts = (6.903809155868691, 8.408371007719545e-05 * 9, 9.060050424435322e-07 * 19.5)
    sampling = 0.009287306185568991 * 3
    assert round((sum(parts) + sampling + 1) * 1e6) == result.elapsed_ns


NEXT = {0: 5, 1: 6, 2: 8}
LENGTHS = {0: 3, 1: 4, 2: 8}


def key(name: int) -> int:
    return token_key(enter(name, range(LENGTHS[name]), [0]).tokens)


def test_a_good_plan_is_answered(backend: SimulatedBackend) -> None:
    backend.step(plan(4, grow=[(0, 9)], chunks=[chunk(2, 5, 3)], decodes=[0, 1]))


def test_a_violation_is_a_backend_error() -> None:
    assert issubclass(ProtocolViolation, BackendError)


def test_a_plan_is_answered_once(backend: SimulatedBackend) -> None:
    refused(backend, plan(1, grow=[(0, 9)], decodes=[0, 1]), "step_id above 1.*=1")


# --- enter


def test_nobody_enters_twice(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(2, [1], [5], slot=4)], decodes=[0, 1])
    refused(backend, bad, "request 2 enters, but it is in the batch already")


def test_nobody_enters_twice_in_one_plan(backend: SimulatedBackend) -> None:
    twice = [enter(3, [1], [5], slot=3), enter(3, [1], [6], slot=4)]
    bad = plan(2, grow=[(0, 9)], enter=twice, decodes=[0, 1])
    refused(backend, bad, "request 3 enters, but it is in the batch already")


def test_a_slot_is_given_to_one(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, [1], [5], slot=2)], decodes=[0, 1])
    refused(backend, bad, "request 3 got slot 2, which is taken")


def test_a_slot_is_given_to_one_of_those_who_enter(backend: SimulatedBackend) -> None:
    both = [enter(3, [1], [5], slot=3), enter(4, [1], [6], slot=3)]
    bad = plan(2, grow=[(0, 9)], enter=both, decodes=[0, 1])
    refused(backend, bad, "request 4 got slot 3, which is taken")


@pytest.mark.parametrize("slot", [-1, 5])
def test_a_slot_exists(backend: SimulatedBackend, slot: int) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, [1], [5], slot=slot)], decodes=[0, 1])
    refused(backend, bad, rf"request 3 needs a slot in 0\.\.4; got {slot}")


@pytest.mark.parametrize("block", [-1, 16])
def test_a_block_exists(backend: SimulatedBackend, block: int) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, [1], [block])], decodes=[0, 1])
    refused(backend, bad, r"request 3 needs block ids in 0\.\.15")


@pytest.mark.parametrize("block", [0, 2, 4, 9], ids=str)
def test_a_block_is_in_one_table(backend: SimulatedBackend, block: int) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, [1], [block])], decodes=[0, 1])
    refused(backend, bad, rf"request 3 got blocks \[{block}\], which are in another")


def test_a_block_is_in_a_table_once(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, [1], [5, 5])], decodes=[0, 1])
    refused(backend, bad, "request 3 has a block twice")


def test_a_table_is_long_enough_for_the_known_tokens(
    backend: SimulatedBackend,
) -> None:
    bad = plan(2, grow=[(0, 9)], enter=[enter(3, range(5), [5])], decodes=[0, 1])
    refused(backend, bad, "request 3 has blocks for 4 of its 5 tokens")


@pytest.mark.parametrize("length", [0, 4])
def test_the_prompt_is_a_part_of_the_tokens(
    backend: SimulatedBackend, length: int
) -> None:
    late = attrs.evolve(enter(3, range(3), [5]), prompt_length=length)
    bad = plan(2, grow=[(0, 9)], enter=[late], decodes=[0, 1])
    refused(backend, bad, f"1 <= prompt_length <= 3; got {length}")


@pytest.mark.parametrize("cached", [-1, 3])
def test_the_last_token_is_not_cached(backend: SimulatedBackend, cached: int) -> None:
    late = attrs.evolve(enter(3, range(3), [5]), cached=cached)
    refused(
        backend,
        plan(2, grow=[(0, 9)], enter=[late], decodes=[0, 1]),
        f"0 <= cached < 3; enter.cached={cached}",
    )


def test_who_had_the_last_output_token_does_not_enter(
    backend: SimulatedBackend,
) -> None:
    late = enter(3, [1, 2], [5], outputs=[8], sampling={"output_tokens": 1})
    bad = plan(2, grow=[(0, 9)], enter=[late], decodes=[0, 1])
    refused(backend, bad, r"request 3 enters after its last output token \(1\)")


def test_outputs_come_back_as_they_were_given(backend: SimulatedBackend) -> None:
    token = token_at(key(0), 3)
    again = enter(0, range(3), [5, 6], outputs=[token, token])
    bad = plan(2, leave=[0], enter=[again], decodes=[1])
    refused(backend, bad, "request 0 re-enters with a token at position 4")


# --- leave and grow


def test_only_members_leave(backend: SimulatedBackend) -> None:
    bad = plan(2, leave=[7], grow=[(0, 9)], decodes=[0, 1])
    refused(backend, bad, "request 7 leaves, but it is not in the batch")


def test_nobody_leaves_twice(backend: SimulatedBackend) -> None:
    refused(backend, plan(2, leave=[0, 0], decodes=[1]), "request 0 leaves twice")


def test_only_members_grow(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9), (7, 10)], decodes=[0, 1])
    refused(backend, bad, "request 7 grows, but it is not in the batch")


def test_who_leaves_does_not_grow(backend: SimulatedBackend) -> None:
    bad = plan(2, leave=[0], grow=[(0, 9)], decodes=[1])
    refused(backend, bad, "request 0 grows, but it is not in the batch")


def test_a_table_grows_by_one_block_at_most(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9), (0, 10)], decodes=[0, 1])
    refused(backend, bad, "request 0 grows twice")


def test_a_table_grows_by_free_blocks(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 2)], decodes=[0, 1])
    refused(backend, bad, r"request 0 got blocks \[2\]")


def test_two_tables_do_not_grow_by_the_same_block(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9), (1, 9)], decodes=[0, 1])
    refused(backend, bad, r"request 1 got blocks \[9\]")


def test_blocks_and_slots_of_who_leaves_are_free_in_the_same_plan(
    backend: SimulatedBackend,
) -> None:
    again = enter(3, [1], [3], slot=2)
    good = plan(2, leave=[2], grow=[(0, 4)], enter=[again], decodes=[0, 1])
    assert [0, 1] == list(backend.step(good).tokens)


def test_who_leaves_may_enter_in_the_same_plan(backend: SimulatedBackend) -> None:
    outputs = [token_at(key(0), 3), token_at(key(0), 4)]
    again = enter(0, range(3), [0, 5], outputs=outputs)
    good = plan(2, leave=[0], enter=[again], chunks=[chunk(0, 0, 5)], decodes=[1])
    assert token_at(key(0), 5) == backend.step(good).tokens[again.request_id]


# --- chunks


@pytest.mark.parametrize("start", [4, 6], ids=["overlap", "gap"])
def test_chunks_follow_one_another(backend: SimulatedBackend, start: int) -> None:
    work = chunk(2, start, 1, samples=False)
    bad = plan(2, grow=[(0, 9)], chunks=[work], decodes=[0, 1])
    refused(backend, bad, "chunk of request 2 must start 5 and end in 6..8")


@pytest.mark.parametrize("length", [0, 4])
def test_a_chunk_stays_within_the_known_tokens(
    backend: SimulatedBackend, length: int
) -> None:
    bad = plan(2, grow=[(0, 9)], chunks=[chunk(2, 5, length)], decodes=[0, 1])
    refused(backend, bad, "chunk of request 2 must start 5 and end in 6..8")


@pytest.mark.parametrize(
    "work",
    [chunk(2, 5, 2, samples=True), chunk(2, 5, 3, samples=False)],
    ids=["early", "not at all"],
)
def test_a_chunk_samples_at_the_end_only(
    backend: SimulatedBackend, work: Chunk
) -> None:
    bad = plan(2, grow=[(0, 9)], chunks=[work], decodes=[0, 1])
    refused(backend, bad, "a chunk samples if, and only if, it ends at 8")


def test_a_chunk_is_for_a_member(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], chunks=[chunk(7, 0, 1)], decodes=[0, 1])
    refused(backend, bad, "a chunk for request 7, which is not in the batch")


def test_who_leaves_has_no_chunk(backend: SimulatedBackend) -> None:
    work = chunk(2, 5, 3)
    bad = plan(2, leave=[2], grow=[(0, 9)], chunks=[work], decodes=[0, 1])
    refused(backend, bad, "a chunk for request 2, which is not in the batch")


def test_who_decodes_has_no_chunk(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], chunks=[chunk(1, 4, 1)], decodes=[0, 1])
    refused(backend, bad, "a chunk for request 1, which decodes already")


def test_two_chunks_of_one_sequence_may_follow_one_another(
    backend: SimulatedBackend,
) -> None:
    work = [chunk(2, 5, 1, samples=False), chunk(2, 6, 2)]
    good = plan(2, grow=[(0, 9)], chunks=work, decodes=[0, 1])
    assert {0, 1, 2} == set(backend.step(good).tokens)


# --- decodes


def test_nobody_decodes_who_never_sampled(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], decodes=[0, 1, 2])
    refused(backend, bad, r"\[2\] never sampled or are gone, \[\] are missing")


def test_everybody_decodes_who_sampled(backend: SimulatedBackend) -> None:
    refused(backend, plan(2, decodes=[1]), r"\[0\] are missing")


def test_one_member_does_not_stand_in_for_another(backend: SimulatedBackend) -> None:
    refused(backend, plan(2, decodes=[1, 2]), r"\[2\] never sampled .* \[0\] are miss")


def test_nobody_decodes_who_leaves(backend: SimulatedBackend) -> None:
    bad = plan(2, leave=[0], decodes=[0, 1])
    refused(backend, bad, r"\[0\] never sampled or are gone")


def test_nobody_decodes_beyond_the_end_of_the_blocks(
    backend: SimulatedBackend,
) -> None:
    refused(backend, plan(2, decodes=[0, 1]), "request 0 decodes beyond the end")


def test_a_member_keeps_its_slot(backend: SimulatedBackend) -> None:
    bad = plan(2, grow=[(0, 9)], decodes={0: 0, 1: 4})
    refused(backend, bad, "request 1 moved from slot 1 to 4")


def test_who_was_answered_as_stopped_leaves_with_the_next_plan() -> None:
    backend = SimulatedBackend()
    only = enter(0, [1], [0], sampling={"output_tokens": 1})
    backend.step(plan(0, enter=[only], chunks=[chunk(0, 0, 1)]))
    with pytest.raises(ProtocolViolation, match="request 0 was answered as stopped"):
        backend.step(plan(1, decodes=[0]))
    assert {} == backend.step(plan(1, leave=[0])).tokens


# --- size


def test_a_step_stays_within_the_token_budget(backend: SimulatedBackend) -> None:
    late = enter(3, range(19), [5, 6, 7, 8, 10])
    bad = plan(2, grow=[(0, 9)], enter=[late], chunks=[chunk(3, 0, 19)], decodes=[0, 1])
    refused(backend, bad, "at most 20 tokens; got 21")


def test_a_full_batch_takes_nobody(backend: SimulatedBackend) -> None:
    more = [enter(3, [1], [5]), enter(4, [1], [6]), enter(5, [1], [7], slot=4)]
    bad = plan(2, grow=[(0, 9)], enter=more, decodes=[0, 1])
    refused(backend, bad, "at most 5 sequences; got 6")


def test_a_bad_sampling_changes_nothing(backend: SimulatedBackend) -> None:
    late = enter(3, [1], [5], sampling={"output_tokens": -1})
    with pytest.raises(BackendError, match="Request 3"):
        backend.step(plan(2, grow=[(0, 9)], enter=[late], decodes=[0, 1]))
    assert BlockId(9) not in backend._batch.pool.used
    refused(backend, plan(3, decodes=[1]), "are missing")
