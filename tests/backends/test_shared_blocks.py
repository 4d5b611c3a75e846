"""The simulated backend lets tables share what is computed, and nothing else."""

from collections.abc import Iterable

import attrs
import pytest

from fairq import RequestId, StepPlan
from fairq_backends.simulated import (
    ProtocolViolation,
    SimulatedBackend,
    load_presets,
    token_at,
    token_key,
)
from fairq_backends.simulated._model import StepLoad
from tests.backends._plans import chunk, enter, plan

PROMPT = list(range(100, 110))
"""Of request 0: two full blocks of 4, in blocks 0 and 1, and half of block 2."""


@pytest.fixture
def backend() -> SimulatedBackend:
    """Request 0 decodes, with a context of 10; request 1 has computed 5 of its 9."""
    made = SimulatedBackend(kv_tokens=64, block_size=4, max_sequences=5, strict=True)
    enters = [
        enter(0, PROMPT, [0, 1, 2, 3], sampling={"output_tokens": 4}),
        enter(1, range(9), [4, 5, 6]),
    ]
    work = [chunk(0, 0, 10), chunk(1, 0, 5, samples=False)]
    made.step(plan(0, enter=enters, chunks=work))
    return made


def late(
    step_id: int,
    table: tuple[int, list[int], int],
    *,
    prompt: Iterable[int] = (*PROMPT[:8], 7, 8),
    leave: Iterable[int] = (),
    decodes: Iterable[int] = (),
    shared: Iterable[tuple[Iterable[int], Iterable[int]]] = (),
) -> StepPlan:
    """Request, blocks, cached tokens: somebody enters, and computes the rest."""
    name, blocks, cached = table
    tokens = list(prompt)
    return plan(
        step_id,
        leave=leave,
        enter=[enter(name, tokens, blocks, cached=cached)],
        chunks=[chunk(name, cached, len(tokens) - cached)],
        decodes=decodes,
        shared=shared,
    )


def test_a_prefix_is_shared_with_a_running_request(backend: SimulatedBackend) -> None:
    result = backend.step(late(1, (2, [0, 1, 7], 8), decodes=[0]))
    key = token_key(enter(2, [*PROMPT[:8], 7, 8], [0]).tokens)
    assert {0: first(11), 2: token_at(key, 10)} == result.tokens


def first(position: int) -> int:
    return token_at(token_key(enter(0, PROMPT, [0]).tokens), position)


def test_only_what_is_not_cached_is_computed_and_attention_reads_all(
    backend: SimulatedBackend,
) -> None:
    result = backend.step(late(1, (2, [0, 1, 7], 8), decodes=[0]))
    load = StepLoad(
        tokens=3, sampled=2, decode_context=10, prefill_pairs=2 * 9, prefills=True
    )
    model = load_presets()[backend.gpu].model
    assert round(model.milliseconds(load) * 1e6) == result.elapsed_ns


def test_what_a_request_left_behind_is_shared_until_it_is_claimed(
    backend: SimulatedBackend,
) -> None:
    backend.step(plan(1, leave=[0, 1]))
    backend.step(late(2, (2, [0, 1, 7], 8)))
    backend.step(plan(3, leave=[2]))
    backend.step(late(4, (3, [0, 1, 8], 8)))
    backend.step(late(5, (4, [1, 9], 0), prompt=[1, 2, 3], leave=[3]))
    refused(backend, late(6, (2, [0, 1, 7], 8), decodes=[4]), "1 hold other pos")


def test_outputs_are_shared_too(backend: SimulatedBackend) -> None:
    backend.step(plan(1, decodes=[0]))
    backend.step(plan(2, decodes=[0]))
    said = [first(position) for position in (10, 11)]
    prompt = [*PROMPT, *said, 5]
    backend.step(late(3, (2, [0, 1, 2, 7], 12), prompt=prompt, decodes=[0]))


def test_a_request_begins_with_what_its_leaving_left_in_the_same_plan(
    backend: SimulatedBackend,
) -> None:
    backend.step(late(1, (2, [0, 1, 2], 8), leave=[0]))


def refused(backend: SimulatedBackend, bad: StepPlan, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        backend.step(bad)


@pytest.mark.parametrize(
    ("blocks", "cached", "why"),
    [
        ([0, 1, 7], 5, r"cached to be whole blocks of 4; enter.cached=5"),
        ([0, 1, 1], 8, "has a block twice"),
        ([0, 99, 7], 8, r"block ids in 0\.\.15"),
        ([0, 1, 99], 8, r"block ids in 0\.\.15"),
        ([0, 1, 2], 8, r"got blocks \[2\], which are in another table"),
        ([0, 1, 7], 4, r"got blocks \[1\], which are in another table"),
        ([8, 1, 7], 8, "8 tokens cached, but block 8 holds nothing"),
        ([1, 0, 7], 8, "blocks 1, 0 hold other positions"),
        ([4, 5, 7], 8, "block 5 is not computed to its end"),
        ([4, 7, 8], 4, "blocks 4 hold other tokens"),
    ],
)
def test_what_is_not_there_is_not_shared(
    backend: SimulatedBackend, blocks: list[int], cached: int, why: str
) -> None:
    refused(backend, late(1, (2, blocks, cached), decodes=[0]), why)
    backend.step(late(1, (2, [0, 1, 7], 8), decodes=[0]))


def test_half_a_block_is_not_shared(backend: SimulatedBackend) -> None:
    prompt = [*PROMPT, first(10), first(11), 5]
    bad = late(1, (2, [0, 1, 2, 7], 12), prompt=prompt, decodes=[0])
    refused(backend, bad, "block 2 is not computed to its end")


def test_a_block_that_the_plan_fills_is_not_shared(backend: SimulatedBackend) -> None:
    backend.step(plan(1, leave=[0]))
    both = [
        enter(2, range(3), [1], slot=2),
        enter(3, [*PROMPT[:8], 7], [0, 1, 7], slot=3, cached=8),
    ]
    work = [chunk(2, 0, 3), chunk(3, 8, 1)]
    for enters in (both, both[::-1]):
        bad = plan(2, enter=enters, chunks=work)
        refused(backend, bad, r"blocks \[1\], which")


def test_a_prefix_that_is_computed_in_the_same_plan_is_not_shared_yet(
    backend: SimulatedBackend,
) -> None:
    prompt = list(range(50, 59))
    enters = [
        enter(2, prompt, [7, 8, 9]),
        enter(3, prompt, [7, 8, 10], cached=8),
    ]
    work = [chunk(2, 0, 9), chunk(3, 8, 1)]
    refused(backend, plan(1, enter=enters, chunks=work, decodes=[0]), "lets somebody")


def test_a_block_is_free_when_the_last_table_with_it_is_gone(
    backend: SimulatedBackend,
) -> None:
    backend.step(late(1, (2, [0, 1, 7], 8), decodes=[0]))
    other = (3, [0, 9], 0)
    refused(
        backend,
        late(2, other, prompt=[1, 2], leave=[0], decodes=[2]),
        r"got blocks \[0\]",
    )
    refused(
        backend,
        late(2, other, prompt=[1, 2], leave=[2], decodes=[0]),
        r"got blocks \[0\]",
    )
    backend.step(plan(2, leave=[2], decodes=[0]))
    refused(backend, late(3, other, prompt=[1, 2], decodes=[0]), r"got blocks \[0\]")
    backend.step(late(3, other, prompt=[1, 2], leave=[0]))
    assert {} == backend._batch.pool.more


def test_both_holders_of_a_block_may_leave_at_once(backend: SimulatedBackend) -> None:
    backend.step(late(1, (2, [0, 1, 7], 8), decodes=[0]))
    backend.step(late(2, (3, [0, 9], 0), prompt=[1, 2], leave=[0, 2]))
    assert {} == backend._batch.pool.more


def test_without_strict_other_tokens_pass_and_uncomputed_blocks_do_not() -> None:
    backend = SimulatedBackend(block_size=4)
    whole = enter(0, PROMPT, [0, 1, 2])
    backend.step(plan(0, enter=[whole], chunks=[chunk(0, 0, 7, samples=False)]))
    other = [1, 2, 3, 4, 5]
    refused(backend, late(1, (2, [1, 7], 4), prompt=other), "other positions")
    backend.step(late(1, (2, [0, 7], 4), prompt=other))


def test_without_a_prefix_cache_nothing_is_cached() -> None:
    backend = SimulatedBackend(block_size=4, prefix_cache=False)
    assert not backend.capacity.prefix_cache
    backend.step(plan(0, enter=[enter(0, PROMPT, [0, 1, 2])], chunks=[chunk(0, 0, 10)]))
    bad = late(1, (2, [0, 1, 7], 8), decodes=[0])
    refused(backend, bad, "cached to be 0 without a prefix cache; enter.cached=8")
    assert {} == backend._batch.pool.fillers


# --- the hint


def test_a_shared_prefix_is_what_its_members_begin_with(
    backend: SimulatedBackend,
) -> None:
    table = (2, [0, 1, 7], 8)
    for blocks, members, why in (
        ([0, 1], [0], "a block and two members"),
        ([0, 1], [0, 0], "a block and two members"),
        ([], [0, 2], "a block and two members"),
        ([0, 1], [0, 3], "request 3 shares a prefix, but is not in the batch"),
        ([0, 2], [0, 2], r"request 0 does not begin with \(0, 2\)"),
        ([0, 1, 7], [2, 0], r"request 2 is computing"),
        ([0, 1, 2], [0, 2], r"request 0 is computing"),
    ):
        bad = late(1, table, decodes=[0], shared=[(blocks, members)])
        refused(backend, bad, why)
    good = late(1, table, decodes=[0], shared=[([0, 1], [0, 2]), ([0], [2, 0])])
    backend.step(good)


def test_nobody_shares_what_it_computes(backend: SimulatedBackend) -> None:
    same = list(range(9))
    table = (2, [4, 7, 8], 4)
    bad = late(1, table, prompt=same, decodes=[0], shared=[([4, 5], [1, 2])])
    refused(backend, bad, "request 1 is computing the prefix it shares")


def test_a_refused_plan_leaves_the_pool_as_it_was(backend: SimulatedBackend) -> None:
    pool = backend._batch.pool
    before = (set(pool.used), dict(pool.more), dict(pool.fillers))
    bad = late(1, (2, [0, 1, 7], 8), leave=[1], decodes=[0, 3])
    refused(backend, bad, "missing")
    assert before == (pool.used, pool.more, pool.fillers)
    assert attrs.asdict(pool, recurse=False)["remembers"]
    assert RequestId(1) in backend._batch.sequences
