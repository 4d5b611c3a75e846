"""Attention in both forms against the book, over the awkward shapes."""

from typing import Any

import pytest
import torch

from fairq_backends.triton_kernels import references
from fairq_backends.triton_kernels.work import SharedPrefix, States, decode_work
from tests.backends.triton_kernels._world import (
    DEVICE,
    DTYPES,
    SEGMENT,
    World,
    assert_close,
    by_parts,
    by_prefill,
    make_world,
    run_parts,
)

PAGE = 16
LENGTHS = (0, 1, PAGE - 1, PAGE, PAGE + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 150)
SHAPES = [
    {"heads": 2, "kv_heads": 2, "dim": 64},
    {"heads": 6, "kv_heads": 2, "dim": 64},
    {"heads": 4, "kv_heads": 1, "dim": 128},
    {"heads": 3, "kv_heads": 1, "dim": 80},
]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_shape = pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: "-".join(map(str, shape.values()))
)


def every_span(world: World, chunk: int) -> list[Any]:
    return [
        span for who in range(len(world.lengths)) for span in world.spans(who, chunk)
    ]


def last_positions(world: World) -> list[Any]:
    return [
        decode
        for who, length in enumerate(world.lengths)
        if length
        for decode in world.decodes(who, [length - 1])
    ]


@each_dtype
@each_shape
def check_prefill_is_attention(shape: dict[str, int], dtype: torch.dtype) -> None:
    world = make_world(LENGTHS, page=PAGE, dtype=dtype, **shape)
    actual = by_prefill(world, every_span(world, 1000), 64)
    assert_close(world.oracle(), actual, dtype)


@each_dtype
@each_shape
def check_decode_is_attention(shape: dict[str, int], dtype: torch.dtype) -> None:
    world = make_world(LENGTHS, page=PAGE, dtype=dtype, **shape)
    decodes = last_positions(world)
    rows = [decode.row for decode in decodes]
    actual = by_parts(world, decodes)
    assert_close(world.oracle()[rows], actual[rows], dtype)


@pytest.mark.parametrize("page", [1, 5, 32, 128])
def check_any_page_size_serves(page: int) -> None:
    world = make_world((0, page, page + 1, 70), page=page)
    expected = world.oracle()
    assert_close(
        expected, by_prefill(world, every_span(world, 1000), 64), world.q.dtype
    )
    rows = [decode.row for decode in last_positions(world)]
    actual = by_parts(world, last_positions(world))
    assert_close(expected[rows], actual[rows], world.q.dtype)


def check_rows_that_share_blocks_and_a_program() -> None:
    world = make_world((97, 140, 80, 129), shared=80)
    decodes = last_positions(world)
    rows = [decode.row for decode in decodes]
    group = SharedPrefix((0, 1, 2, 3), 80)
    actual = by_parts(world, decodes, [group])
    assert_close(world.oracle()[rows], actual[rows], world.q.dtype)


def check_prefill_reference_is_attention() -> None:
    world = make_world((17, 70), heads=3, kv_heads=1)
    expected = world.oracle()
    spans = every_span(world, 1000)
    items = torch.tensor([[s.table_row, s.first_row, s.length, s.start] for s in spans])
    out = torch.zeros_like(world.q)
    references.attend_prefill(
        world.q, world.keys, world.values, world.tables, items, torch.tensor([2]), out
    )
    assert_close(expected, out, world.q.dtype)


def check_partial_reference_is_attention() -> None:
    world = make_world((17, 150), heads=3, kv_heads=1)
    lengths = torch.tensor([17, 150], device=DEVICE)
    work = decode_work(torch.arange(2, device=DEVICE), lengths, segment=SEGMENT)
    positions = torch.tensor([16, 149], dtype=torch.int32).to(DEVICE)
    rows = [16, 17 + 149]
    q = world.q[rows]
    states = States.make(work.slots, 3, 64, DEVICE)
    buffers = (states.maxima, states.sums, states.states)
    caches = (world.keys, world.values, world.tables)
    lists = (work.items.items, work.items.count, work.members)
    references.attend_partial(q, *caches, positions, *lists, *buffers, segment=SEGMENT)
    out = torch.zeros_like(q)
    folds = (work.folds.items, work.folds.count)
    references.fold(positions, *folds, *buffers, out, segment=SEGMENT)
    assert_close(world.oracle()[rows], out, world.q.dtype)


def check_rows_of_no_item_are_left_alone() -> None:
    world = make_world((20, 30))
    actual = by_prefill(world, world.spans(1, 1000), 64)
    assert (actual[:20] == 7).all()
    assert (actual[20:] != 7).all()


def check_a_padding_row_gets_zeros() -> None:
    world = make_world((20, 30))
    lengths = torch.tensor([30, 30], device=DEVICE)
    work = decode_work(torch.arange(2, device=DEVICE), lengths, segment=SEGMENT)
    work.folds.items[1, 2] = 0
    actual = run_parts(world, work)
    assert (actual[1] == 0).all()
    assert (actual[0] != 0).any()
