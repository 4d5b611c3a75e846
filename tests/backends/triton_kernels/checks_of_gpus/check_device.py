"""What only a GPU can show: graphs, pools beyond 2**31 elements, its own roundings."""

import pytest
import torch

from fairq_backends.triton_kernels import attend_prefill, matmul, sample
from fairq_backends.triton_kernels.work import (
    PrefillSpan,
    WorkList,
    prefill_items,
)
from tests.backends.triton_kernels._world import (
    DEVICE,
    DTYPES,
    assert_close,
    assert_same_bits,
    by_parts,
    by_prefill,
    make_world,
    random_numbers,
)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
HALVES = (torch.float16, torch.bfloat16)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("dim", [64, 80, 128])
def check_instructions_of_16_and_128_rows_round_alike(
    dim: int, dtype: torch.dtype
) -> None:
    """16 rows take mma.sync, 64 and more wgmma: bits of the production order."""
    order = {"segment": 256, "tile": 64}
    world = make_world((700,), heads=8, kv_heads=2, dim=dim, dtype=dtype)
    spans = world.spans(0, 1000)
    expected = by_prefill(world, spans, 128, **order)
    assert_close(world.oracle(), expected, dtype)
    for program_rows in (16, 64):
        assert_same_bits(expected, by_prefill(world, spans, program_rows, **order))
    rows = list(range(0, 700, 23))
    decodes = world.decodes(0, rows)
    for program_rows in (16, 64, 128):
        actual = by_parts(world, decodes, (), program_rows=program_rows, **order)
        assert_same_bits(expected[rows], actual[rows])


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(("n", "k"), [(960, 576), (3072, 576), (6144, 4096)])
def check_products_of_real_weights_ignore_the_number_of_rows(
    n: int, k: int, dtype: torch.dtype
) -> None:
    x = random_numbers(512, k, seed=3, dtype=dtype).to(DEVICE)
    w = random_numbers(n, k, seed=4, dtype=dtype).to(DEVICE)
    expected = matmul(x, w)
    for rows in (1, 2, 3, 8, 31, 64, 65, 128, 200, 511):
        assert_same_bits(expected[:rows], matmul(x[:rows], w))
        assert_same_bits(expected[-rows:], matmul(x[-rows:], w))


def check_block_ids_beyond_31_bits_of_offset() -> None:
    page, dim, blocks = 16, 128, 2**31 // (16 * 128) + 100
    pools = torch.zeros(2, blocks, 1, page, dim, dtype=torch.bfloat16, device=DEVICE)
    table = torch.tensor([[blocks - 1, blocks - 2]], dtype=torch.int32, device=DEVICE)
    pools[1, blocks - 1], pools[1, blocks - 2] = 1.0, 3.0
    q = torch.ones(1, 1, dim, dtype=torch.bfloat16, device=DEVICE)
    items = WorkList.make(1, 4, DEVICE)
    items.fill(prefill_items([PrefillSpan(0, 31, 1, 0)], 16))
    out = torch.zeros_like(q)
    caches = (pools[0], pools[1], table)
    attend_prefill(q, *caches, items.items, items.count, out, program_rows=16)
    assert (out == 2).all()


@each_dtype
def check_a_captured_graph_serves_another_batch(dtype: torch.dtype) -> None:
    world = make_world((90, 40), dtype=dtype)
    whole = by_prefill(world, [*world.spans(0, 100), *world.spans(1, 100)], 64)
    listed = WorkList.make(64, 4, DEVICE)
    listed.fill(prefill_items(world.spans(0, 100), 5))
    out = torch.full_like(world.q, 7.0)

    def launch() -> None:
        attend_prefill(
            world.q, world.keys, world.values, world.tables, listed.items,
            listed.count, out, program_rows=16, programs=8, segment=64, tile=16,
        )  # fmt: skip

    launch()  # compiles, which a capture cannot
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    listed.fill(prefill_items(world.spans(1, 100), 5))
    out.fill_(7.0)
    graph.replay()
    assert (out[:90] == 7).all()
    assert_same_bits(whole[90:], out[90:])


def check_draws_of_a_real_vocabulary_are_the_same_alone_and_together() -> None:
    logits = random_numbers(64, 49_152, seed=1, dtype=torch.float32).to(DEVICE)
    temperatures = torch.full((64,), 0.8, device=DEVICE)
    seeds, positions = torch.arange(128, device=DEVICE).view(2, 64)
    together = sample(logits, temperatures, seeds, positions)
    for row in range(0, 64, 9):
        one = slice(row, row + 1)
        alone = sample(logits[one], temperatures[one], seeds[one], positions[one])
        assert together[row] == alone[0]
