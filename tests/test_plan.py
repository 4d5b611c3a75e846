import attrs
import pytest

from fairq import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    RequestId,
    SharedPrefix,
    StepId,
    StepPlan,
    StepResult,
    TokenIds,
)

A, B, C = RequestId(4), RequestId(2), RequestId(9)


def plan(decodes: DecodeSet, *chunks: Chunk) -> StepPlan:
    return StepPlan(
        step_id=StepId(0), leave=(), grow=(), enter=(), chunks=chunks, decodes=decodes
    )


def test_a_decode_set_iterates_in_the_order_of_joining() -> None:
    assert [A, B, C] == list(DecodeSet({A: 0, B: 2, C: 1}))


def test_a_decode_set_knows_length_members_and_slots() -> None:
    decodes = DecodeSet({A: 0, B: 2})
    assert len(decodes) == 2
    assert A in decodes
    assert C not in decodes
    assert decodes.slot(B) == 2


def test_the_slot_of_a_stranger_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        DecodeSet({A: 0}).slot(C)


def test_a_decode_set_is_a_view_and_no_copy() -> None:
    table = {A: 0}
    decodes = DecodeSet(table)
    table[B] = 1
    assert [A, B] == list(decodes)
    assert {A, B} == decodes.ids()


def test_a_decode_set_compares_with_sets() -> None:
    decodes = DecodeSet({A: 0, B: 1})
    assert decodes.ids() == {A, B}
    assert decodes.ids() != {A}
    assert {A} < decodes
    assert decodes <= {A, B, C}


def test_set_algebra_on_a_decode_set_gives_plain_sets() -> None:
    decodes = DecodeSet({A: 0, B: 1})
    assert decodes & {B, C} == {B}
    assert decodes | {C} == {A, B, C}
    assert decodes - {A} == {B}
    assert isinstance(decodes - {A}, set)


def test_a_decode_set_shows_its_members() -> None:
    assert repr(DecodeSet({A: 0, B: 1})) == "DecodeSet([4, 2])"


def test_a_plan_counts_decodes_and_chunk_positions() -> None:
    chunks = (Chunk(B, 0, 7, samples=False), Chunk(C, 3, 5, samples=True))
    assert plan(DecodeSet({A: 0}), *chunks).tokens == 13
    assert plan(DecodeSet({})).tokens == 0


def test_plans_with_the_same_content_are_equal() -> None:
    assert plan(DecodeSet({A: 0})) == plan(DecodeSet({A: 0}))
    assert plan(DecodeSet({A: 0})) != plan(DecodeSet({B: 0}))


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        plan(DecodeSet({})).leave = (A,)  # type: ignore[misc]  # refusal is the test


def test_a_result_stops_nobody_unless_told() -> None:
    result = StepResult(StepId(3), {A: 5})
    assert result.stopped == ()
    assert result.elapsed_ns == 0


def test_a_result_keeps_the_very_mapping_of_the_backend() -> None:
    tokens = {A: 5}
    assert tokens is StepResult(StepId(3), tokens).tokens


def test_an_entering_sequence_names_everything_a_backend_needs() -> None:
    enter = Enter(
        request_id=A,
        slot=0,
        tokens=TokenIds([1, 2, 3]),
        prompt_length=2,
        blocks=(BlockId(5),),
        cached=0,
        sampling={"temperature": 0},
    )
    fields = [field.name for field in attrs.fields(Enter)]
    assert [
        "request_id",
        "slot",
        "tokens",
        "prompt_length",
        "blocks",
        "cached",
        "sampling",
    ] == fields
    assert enter.tokens[enter.prompt_length :] == TokenIds([3])


def test_a_plan_shares_nothing_unless_told() -> None:
    assert plan(DecodeSet({})).shared == ()


def test_a_shared_prefix_names_a_run_of_blocks_and_who_begins_with_it() -> None:
    run = SharedPrefix((BlockId(3), BlockId(1)), (A, B))
    assert ((3, 1), (4, 2)) == (run.blocks, run.members)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        run.members = (A,)  # type: ignore[misc]  # that it is refused is the test
