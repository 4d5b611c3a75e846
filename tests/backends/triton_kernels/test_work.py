"""Work lists: everything once, in pieces that fit a program."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairq_backends.triton_kernels import KernelUsageError
from fairq_backends.triton_kernels.work import (
    Decode,
    PartialWork,
    PrefillSpan,
    SharedPrefix,
    WorkList,
    decode_work,
    partial_lists,
    prefill_items,
)

CPU = torch.device("cpu")


def test_a_chunk_is_cut_and_the_longest_context_comes_first() -> None:
    spans = [PrefillSpan(3, 100, 10, 0), PrefillSpan(5, 7, 3, 10)]
    expected = [(3, 8, 2, 108), (3, 4, 4, 104), (3, 0, 4, 100), (5, 10, 3, 7)]
    assert expected == prefill_items(spans, 4)


@given(
    lengths=st.lists(st.integers(0, 40), max_size=5),
    starts=st.lists(st.integers(0, 500), min_size=5, max_size=5),
    tokens=st.integers(1, 9),
)
def test_every_row_is_in_one_item(
    lengths: list[int], starts: list[int], tokens: int
) -> None:
    firsts = [sum(lengths[:i]) for i in range(len(lengths))]
    spans = [
        PrefillSpan(i, start, length, first)
        for i, (length, start, first) in enumerate(
            zip(lengths, starts, firsts, strict=False)
        )
    ]
    items = prefill_items(spans, tokens)
    rows = [
        (table, first + i, start + i)
        for table, first, count, start in items
        for i in range(count)
    ]
    expected = [
        (span.table_row, span.first_row + i, span.start + i)
        for span in spans
        for i in range(span.length)
    ]
    assert expected == sorted(rows)
    assert all(1 <= item[2] <= tokens for item in items)


def members_of(work: PartialWork) -> list[tuple[int, int, int, int]]:
    """(Table row, segment, row, slot) of every member."""
    pairs = work.members.tolist()
    items = work.items.items[: int(work.items.count)].tolist()
    return [
        (table, part, *pairs[i])
        for table, part, first, count in items
        for i in range(first, first + count)
    ]


def test_decodes_are_split_at_segments() -> None:
    work = partial_lists(
        [Decode(4, 9, 65), Decode(2, 8, 64)], members_per_item=5, segment=64
    )
    assert [(9, 0, 4, 0), (9, 1, 4, 1), (8, 0, 2, 2)] == members_of(work)
    assert [[4, 0, 2], [2, 2, 1]] == work.folds.items.tolist()
    assert 3 == work.slots


def test_a_shared_prefix_is_one_item_for_many() -> None:
    decodes = [Decode(row, row, 150) for row in range(3)]
    group = SharedPrefix((0, 2), 130)
    work = partial_lists(decodes, [group], members_per_item=5, segment=64)
    shared = [(0, 0, 0, 0), (0, 0, 2, 6), (0, 1, 0, 1), (0, 1, 2, 7)]
    assert shared == members_of(work)[:4]
    assert 9 == work.slots
    assert 7 == int(work.items.count)


def test_a_group_larger_than_a_program_is_cut() -> None:
    decodes = [Decode(row, row, 64) for row in range(5)]
    group = SharedPrefix((0, 1, 2, 3, 4), 64)
    work = partial_lists(decodes, [group], members_per_item=2, segment=64)
    assert [2, 2, 1] == work.items.items[:, 3].tolist()


@given(
    lengths=st.lists(st.integers(1, 400), min_size=4, max_size=4),
    shared=st.integers(0, 400),
    per_item=st.integers(1, 4),
)
def test_sharing_changes_who_reads_and_not_what(
    lengths: list[int], shared: int, per_item: int
) -> None:
    shared = min(shared, *lengths)
    decodes = [Decode(row, row, length) for row, length in enumerate(lengths)]
    group = SharedPrefix((0, 1, 3), shared)
    works = [
        partial_lists(decodes, groups, members_per_item=per_item, segment=64)
        for groups in ([], [group])
    ]
    alone, together = ([m[1:] for m in members_of(work)] for work in works)
    assert sorted(alone) == sorted(together)
    assert list(range(len(alone))) == sorted(slot for _, _, slot in alone)
    assert works[0].folds.items.tolist() == works[1].folds.items.tolist()


def test_a_row_in_two_groups_is_refused() -> None:
    groups = [SharedPrefix((0, 1), 64), SharedPrefix((1,), 64)]
    decodes = [Decode(row, row, 64) for row in range(2)]
    with pytest.raises(KernelUsageError, match="each decode in one group"):
        partial_lists(decodes, groups, members_per_item=2, segment=64)


def test_no_decodes_are_empty_lists() -> None:
    work = partial_lists([], members_per_item=2)
    assert (0, 0, 0) == (work.slots, int(work.items.count), int(work.folds.count))
    assert (0, 2) == work.members.shape


@pytest.mark.parametrize("lengths", [[130, 64, 65, 1], [1], []])
def test_lists_made_on_the_device_are_those_made_on_the_host(
    lengths: list[int],
) -> None:
    expected = partial_lists(
        [Decode(i, 9 - i, length) for i, length in enumerate(lengths)],
        members_per_item=1,
        segment=64,
    )
    rows = 9 - torch.arange(len(lengths))
    given = torch.tensor(lengths, dtype=torch.int64)
    actual = decode_work(rows, given, segment=64)
    assert torch.equal(expected.items.items, actual.items.items)
    assert torch.equal(expected.items.count, actual.items.count)
    assert torch.equal(expected.members, actual.members)
    assert torch.equal(expected.folds.items, actual.folds.items)
    assert torch.equal(expected.folds.count, actual.folds.count)
    assert torch.int32 == actual.items.items.dtype == actual.members.dtype


def test_a_list_is_filled_in_place() -> None:
    work = WorkList.make(3, 2, CPU)
    places = work.items.data_ptr(), work.count.data_ptr()
    work.fill([(1, 2), (3, 4)])
    assert [[1, 2], [3, 4], [0, 0]] == work.items.tolist()
    assert [2] == work.count.tolist()
    work.fill([])
    assert [0] == work.count.tolist()
    assert places == (work.items.data_ptr(), work.count.data_ptr())


def test_a_list_that_is_too_long_is_refused() -> None:
    work = WorkList.make(1, 2, CPU)
    with pytest.raises(KernelUsageError, match="at most 1 items, got 2"):
        work.fill([(1, 2), (3, 4)])
