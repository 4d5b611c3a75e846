"""The canonical fold is attention; it reads its own blocks and no others."""

import math

import pytest
import torch
from torch import Tensor

from fairq import BackendError
from fairq_backends.torch_paged import _canonical as canonical
from fairq_backends.torch_paged._exact import ExactWork, block_rows
from fairq_backends.torch_paged._layout import Span, StepLayout
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._rows import Rows
from fairq_backends.torch_paged._sdpa import FastWork
from fairq_backends.torch_paged._shape import Shape
from tests.backends._plans import chunk, plan
from tests.backends.torch_paged._stage import PROMPT, decoded, entry, first, small

LENGTHS = (1, 15, 16, 17, 63, 64, 65, 130)
GENERATOR_SEED = 9


class Scene:
    """Sequences of given lengths in a pool whose other blocks are NaN."""

    def __init__(self, shape: Shape, lengths: tuple[int, ...]) -> None:
        self.shape, self.lengths = shape, lengths
        self._made = torch.Generator().manual_seed(GENERATOR_SEED)
        counts = [-(-length // shape.block_size) for length in lengths]
        total = sum(counts) + 5
        pool = KvPool.make(
            layers=1,
            blocks=total,
            kv_heads=shape.kv_heads,
            block_size=shape.block_size,
            head_dim=shape.head_dim,
            dtype=torch.float32,
            device=torch.device("cpu"),
            debug=True,
        )
        self.pool = pool.layer(0)
        shuffled = torch.randperm(total, generator=self._made).tolist()
        wide = max(counts) + 1
        self.tables = torch.full((len(lengths), wide), total, dtype=torch.int32)
        for slot, count in enumerate(counts):
            mine = [shuffled.pop() for _ in range(count)]
            pool.claim(mine)
            self.tables[slot, :count] = torch.tensor(mine, dtype=torch.int32)
        # What was computed before the step; the last position is the step's own.
        self.keys = [self._filled(slot, self.pool.keys) for slot in range(len(lengths))]
        self.values = [
            self._filled(slot, self.pool.values) for slot in range(len(lengths))
        ]

    def noise(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._made)

    def _filled(self, slot: int, pool: Tensor) -> Tensor:
        """Random K or V for each position, put into its block: (L, Hkv, D)."""
        size = self.shape.block_size
        made = self.noise(self.lengths[slot], self.shape.kv_heads, self.shape.head_dim)
        for position, row in enumerate(made):
            block = int(self.tables[slot, position // size])
            pool[block, :, position % size] = row
        return made

    def expected(self, slot: int, query: Tensor, position: int) -> Tensor:
        """Softmax attention of one row in float64: (Hq, D)."""
        group = self.shape.group
        keys = self.keys[slot][: position + 1].double().repeat_interleave(group, dim=1)
        values = (
            self.values[slot][: position + 1].double().repeat_interleave(group, dim=1)
        )
        scores = torch.einsum("hd,lhd->hl", query.double(), keys)
        weights = (scores / math.sqrt(self.shape.head_dim)).softmax(dim=1)
        return torch.einsum("hl,lhd->hd", weights, values)

    def qkv(self, queries: Tensor, rows: list[tuple[int, int]]) -> Tensor:
        """The rows of a step, (T, (Hq + 2 Hkv) D), given as slots and positions."""
        keys = torch.stack([self.keys[slot][position] for slot, position in rows])
        values = torch.stack([self.values[slot][position] for slot, position in rows])
        return torch.cat([queries, keys, values], dim=1).flatten(1)

    def check(self, layout: StepLayout, rows: list[tuple[int, int]], kind: str) -> None:
        """The rows of this step get what the definition says."""
        shape = self.shape
        queries = self.noise(len(rows), shape.heads, shape.head_dim)
        longest = max(self.lengths)
        unturned = torch.ones(longest, shape.head_dim // 2)
        rope = (unturned, torch.zeros_like(unturned))
        placed = Rows.of(layout, shape, self.tables, rope)
        work: ExactWork | FastWork
        if kind == "exact":
            heights = block_rows(shape.group, shape.head_dim)
            work = ExactWork.of(layout, placed, self.tables, heights)
        else:
            work = FastWork.of(layout, placed, self.tables)
        actual = work.attend(self.qkv(queries, rows), self.pool)
        expected = torch.stack(
            [
                self.expected(slot, query, position)
                for query, (slot, position) in zip(queries, rows, strict=True)
            ]
        )
        torch.testing.assert_close(
            actual.double(), expected.flatten(1), rtol=1e-4, atol=1e-5
        )


def layout_of(
    decodes: list[tuple[int, int]], spans: list[tuple[int, int, int]]
) -> tuple[StepLayout, list[tuple[int, int]]]:
    """Decodes as (slot, position), chunks as (slot, start, length)."""
    rows, made = list(decodes), []
    for slot, start, length in spans:
        made.append(Span(slot, start, length, len(rows)))
        rows += [(slot, position) for position in range(start, start + length)]
    nothing = torch.zeros(0, dtype=torch.int64)
    layout = StepLayout(
        tokens=torch.zeros(len(rows), dtype=torch.int64),
        positions=torch.tensor([position for _, position in rows]),
        decode_slots=torch.tensor([slot for slot, _ in decodes], dtype=torch.int64),
        spans=tuple(made),
        sample_rows=nothing,
        sample_slots=nothing,
        longest=max((position + 1 for _, position in decodes), default=0),
    )
    return layout, rows


SHAPES = [(6, 2, 16), (2, 2, 64), (4, 1, 80), (9, 3, 64)]


@pytest.mark.parametrize("kind", ["exact", "fast"])
@pytest.mark.parametrize("block_size", [1, 3, 16, 64, 128])
@pytest.mark.parametrize("heads", SHAPES, ids=str)
def test_attention_of_a_mixed_step_is_that_of_the_definition(
    heads: tuple[int, int, int], block_size: int, kind: str
) -> None:
    query_heads, kv_heads, head_dim = heads
    shape = Shape(
        heads=query_heads, kv_heads=kv_heads, head_dim=head_dim, block_size=block_size
    )
    scene = Scene(shape, (*LENGTHS, 1, 70, 130))
    decodes = [(slot, length - 1) for slot, length in enumerate(LENGTHS)]
    count = len(LENGTHS)
    spans = [(count, 0, 1), (count + 1, 0, 70), (count + 2, 63, 67)]

    scene.check(*layout_of(decodes, spans), kind)


@pytest.mark.parametrize("kind", ["exact", "fast"])
@pytest.mark.parametrize("length", LENGTHS)
def test_attention_of_one_sequence_is_that_of_the_definition(
    length: int, kind: str
) -> None:
    shape = Shape(heads=6, kv_heads=2, head_dim=16, block_size=16)

    Scene(shape, (length,)).check(*layout_of([(0, length - 1)], []), kind)
    Scene(shape, (length,)).check(*layout_of([], [(0, 0, length)]), kind)


def test_passes_of_any_size_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    # Memory is bounded by cutting the fold; the cut is no part of its definition.
    long = entry(0, tuple(range(90)) * 2, tuple(range(46)))
    expected = first(small(blocks=60, tokens_per_step=256), long)[1]

    monkeypatch.setattr(canonical, "FLOATS_AT_ONCE", 1)

    assert torch.equal(expected, first(small(blocks=60, tokens_per_step=256), long)[1])


# --- blocks of nobody -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_blocks_of_nobody_are_never_read(mode: str) -> None:
    # Half a segment and half a block beyond the end belong to others, or to nobody.
    clean, poisoned = small(mode=mode), small(mode=mode, debug=True)
    for backend in (clean, poisoned):
        first(backend, entry(0, PROMPT, (7, 3, 11, 15)))
        other = entry(1, PROMPT, (1, 9, 20))
        backend.step(plan(1, enter=[other], chunks=[chunk(1, 0, 11)], decodes=[0]))
        backend.step(plan(2, leave=[1], decodes=[0]))

    (expected,), (actual,) = decoded(clean, 3, 0), decoded(poisoned, 3, 0)

    assert torch.equal(expected, actual)
    assert 20 == int(poisoned._batch.pool.keys[0].isnan().flatten(1).all(1).sum())


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_table_with_a_block_of_nobody_is_seen_in_debug_mode(mode: str) -> None:
    backend, sound = small(mode=mode, debug=True), small(mode=mode, debug=True)
    first(backend), first(sound)
    # Block 5 is said to hold the first four tokens, but nobody computed them.
    wrong = entry(1, PROMPT, (5, 6, 7), cached=4)

    with pytest.raises(BackendError, match="Request 1: the largest logit must be a"):
        backend.step(
            plan(1, enter=[wrong], chunks=[chunk(1, 4, 7)], decodes=[0]),
        )

    assert 1 == len(backend._batch.sequences)
    (expected,), (actual,) = decoded(sound, 2, 0), decoded(backend, 2, 0)
    assert torch.equal(expected, actual)
