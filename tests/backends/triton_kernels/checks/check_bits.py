"""The same bits by every schedule: what ``exact`` mode rests on.

In the interpreter a product's rows depend on their place in the tile (NumPy's doing),
so a product that adds in order takes its place. On a GPU nothing is replaced.
"""

import importlib
from typing import Any, TypeAlias

import pytest
import torch
from torch import Tensor

from fairq_backends.triton_kernels import matmul
from fairq_backends.triton_kernels.work import SharedPrefix, decode_work
from tests.backends.triton_kernels._world import (
    DEVICE,
    DTYPES,
    INTERPRETED,
    SEGMENT,
    World,
    assert_same_bits,
    by_parts,
    by_prefill,
    make_world,
    random_numbers,
    run_parts,
)

Handle: TypeAlias = Any
"""A tensor of the interpreter."""

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def ordered_dot(
    _self: object, a: Handle, b: Handle, d: Handle, *_options: object
) -> Handle:
    interpreter = importlib.import_module("triton.runtime.interpreter")

    total = d.data.copy()
    left, right = a.data.astype(total.dtype), b.data.astype(total.dtype)
    for k in range(left.shape[1]):
        total += left[:, k, None] * right[None, k, :]
    return interpreter.TensorHandle(total, d.dtype.scalar)


@pytest.fixture(autouse=True)
def sums_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    if INTERPRETED:
        interpreter = importlib.import_module("triton.runtime.interpreter")

        monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", ordered_dot)


def whole(world: World, who: int = 0, program_rows: int = 64, **order: int) -> Tensor:
    first = world.first_rows[who]
    out = by_prefill(world, world.spans(who, 10_000), program_rows, **order)
    return out[first : first + world.lengths[who]]


@each_dtype
@pytest.mark.parametrize("chunk", [1, 7, 16, 37, 64, 100])
def check_where_a_prompt_is_cut_changes_nothing(chunk: int, dtype: torch.dtype) -> None:
    world = make_world((130,), heads=3, kv_heads=1, dtype=dtype)
    expected = whole(world)
    spans = world.spans(0, chunk)
    if chunk == 1:
        spans = spans[::13]
    rows = [s.first_row + each for s in spans for each in range(s.length)]
    actual = by_prefill(world, spans, 16 if chunk < 16 else 64)
    assert_same_bits(expected[rows], actual[rows])


@each_dtype
@pytest.mark.parametrize("program_rows", [16, 128])
def check_rows_of_a_program_change_nothing(
    program_rows: int, dtype: torch.dtype
) -> None:
    world = make_world((90,), dtype=dtype)
    assert_same_bits(whole(world), whole(world, program_rows=program_rows))


@each_dtype
def check_neighbours_and_programs_change_nothing(dtype: torch.dtype) -> None:
    world = make_world((70, 33, 90), dtype=dtype)
    everyone = [span for who in range(3) for span in world.spans(who, 50)]
    mixed = by_prefill(world, everyone, 64, programs=7)
    for who in range(3):
        first = world.first_rows[who]
        actual = mixed[first : first + world.lengths[who]]
        assert_same_bits(whole(world, who), actual)


@each_dtype
@pytest.mark.parametrize("program_rows", [16, 64, 128])
def check_split_and_folded_is_as_in_registers(
    program_rows: int, dtype: torch.dtype
) -> None:
    world = make_world((150,), heads=3, kv_heads=1, dtype=dtype)
    rows = [0, 15, 62, 63, 64, 127, 128, 149]
    actual = by_parts(world, world.decodes(0, rows), program_rows=program_rows)
    assert_same_bits(whole(world)[rows], actual[rows])


@each_dtype
def check_a_shared_prefix_is_as_unshared(dtype: torch.dtype) -> None:
    lengths = (135, 140, 129, 128, 190)
    world = make_world(lengths, shared=128, dtype=dtype)
    decodes = [
        each for who in range(5) for each in world.decodes(who, [lengths[who] - 1])
    ]
    rows = [decode.row for decode in decodes]
    group = SharedPrefix(tuple(range(5)), 128)
    for program_rows in (16, 64):
        shared = by_parts(world, decodes, [group], program_rows=program_rows)
        assert_same_bits(by_parts(world, decodes)[rows], shared[rows])


def check_lists_for_longer_contexts_change_nothing() -> None:
    world = make_world((1, 64, 65, 130))
    decodes = [
        each
        for who, length in enumerate(world.lengths)
        for each in world.decodes(who, [length - 1])
    ]
    rows = [decode.row for decode in decodes]
    longer = torch.tensor([250, 64, 129, 400], device=DEVICE)
    work = decode_work(torch.arange(4, device=DEVICE), longer, segment=SEGMENT)
    where = torch.tensor(rows, dtype=torch.int32, device=DEVICE)
    work.members[:, 0] = where[work.members[:, 0].long()]
    work.folds.items[:, 0] = where
    actual = run_parts(world, work)
    assert_same_bits(by_parts(world, decodes)[rows], actual[rows])


def check_the_page_size_changes_nothing() -> None:
    expected = whole(make_world((100,), page=16))
    assert_same_bits(expected, whole(make_world((100,), page=7)))


@pytest.mark.parametrize(("segment", "tile"), [(64, 32), (32, 16)])
def check_another_order_of_additions_shows(segment: int, tile: int) -> None:
    world = make_world((100,))
    other = whole(world, segment=segment, tile=tile)
    assert not torch.equal(whole(world), other)
    torch.testing.assert_close(whole(world), other, atol=1e-5, rtol=1e-5)


@each_dtype
@pytest.mark.parametrize(("n", "k"), [(70, 96), (33, 40)])
def check_a_row_of_a_product_ignores_the_others(
    n: int, k: int, dtype: torch.dtype
) -> None:
    x = random_numbers(150, k, seed=3, dtype=dtype).to(DEVICE)
    w = random_numbers(n, k, seed=4, dtype=dtype).to(DEVICE)
    expected = matmul(x, w, programs=2)
    for rows in (slice(0, 1), slice(5, 12), slice(80, 144), slice(20, 149)):
        assert_same_bits(expected[rows], matmul(x[rows], w, programs=3))
