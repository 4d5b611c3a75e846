"""What cannot be carried out is refused by name, and nothing has changed then."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from fairq import (
    BackendError,
    BlockId,
    Capacity,
    Chunk,
    Enter,
    RequestId,
    StepPlan,
    SyncBackend,
    TokenIds,
    UsageError,
)
from fairq_backends.torch_paged import TorchPagedBackend, _capacity
from fairq_backends.torch_paged._forward import Network
from tests.backends._plans import chunk, plan
from tests.backends.reference._models import tiny_model
from tests.backends.torch_paged._stage import (
    PROMPT,
    SMALL,
    decoded,
    entry,
    first,
    small,
)

# --- options --------------------------------------------------------------------------

OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "dtype": (
        {"dtype": "int8"},
        "dtype must be one of float32, bfloat16, float16; got 'int8'",
    ),
    "mode": ({"mode": "quick"}, "mode must be one of exact, fast; got 'quick'"),
    "device": (
        {"device": "abacus"},
        "device must be 'auto', 'cpu' or 'cuda'; got 'abacus'",
    ),
    "another device": (
        {"device": "meta"},
        "device must be 'auto', 'cpu' or 'cuda'; got 'meta'",
    ),
    "blocks": ({"blocks": 0}, r"Capacity\.blocks must be an integer >= 1"),
    "block size": ({"block_size": 0}, r"block_size must be an integer >= 1"),
    "block size, blocks chosen": (
        {"block_size": 0, "blocks": None},
        r"block_size must be an integer >= 1",
    ),
    "sequences": ({"max_sequences": 0}, r"max_sequences must be an integer >= 1"),
    "tokens": ({"tokens_per_step": 0}, r"tokens_per_step must be an integer >= 1"),
}


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_out_of_their_bounds_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        small(**options)


def test_a_gpu_is_asked_for_only_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(UsageError, match="'cuda' needs a GPU that Torch can use"):
        small(device="cuda")
    assert "cpu" == small(device="auto")._batch.pool.keys.device.type


def test_a_pool_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_capacity, "_free_bytes", lambda device: 9_000)  # noqa: ARG005  # as it is called

    with pytest.raises(
        UsageError, match=r"A block of 16 tokens takes 8,192 bytes; 9,0"
    ):
        small(blocks=None, block_size=16)


def test_a_pool_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(UsageError, match="blocks"):
        small(blocks=10**15)


def test_the_pool_takes_a_part_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_capacity, "_free_bytes", lambda device: 10 * 8192)  # noqa: ARG005  # as it is called

    # One block more than the kernel may use is always zero.
    assert 9 == small(blocks=None, block_size=16).capacity.blocks
    # More than all sequences together can use is not taken.
    monkeypatch.setattr(_capacity, "_free_bytes", lambda device: 2**40)  # noqa: ARG005  # as above
    assert 4 * 512 // 16 == small(blocks=None, block_size=16).capacity.blocks


def test_it_is_a_backend_with_the_capacity_it_was_given() -> None:
    backend = small()

    assert isinstance(backend, SyncBackend)
    sizes = {key: SMALL[key] for key in SMALL if key not in ("device", "keep_logits")}
    assert Capacity(**sizes, prefix_cache=True) == backend.capacity
    assert ("random", None) == (backend.model_name, backend.tokenizer)
    assert "model='random'" in repr(backend)


# --- plans ----------------------------------------------------------------------------


def joins(made: Enter, *chunks: Chunk) -> StepPlan:
    return plan(1, enter=[made], chunks=chunks, decodes=[0])


def other(**changes: Any) -> StepPlan:  # noqa: ANN401  # fields of all types
    """A plan in which request 1 joins beside request 0, with something changed."""
    made = attrs.evolve(entry(1, PROMPT, (5, 6, 7)), **changes)
    return joins(made, Chunk(RequestId(1), made.cached, 11 - made.cached, samples=True))


TABLE = tuple(BlockId(5) for _ in range(129))

PLANS: dict[str, tuple[StepPlan, str]] = {
    "old": (plan(0, decodes=[0]), r"Plans need a step_id above 0, .* answered; got 0"),
    "leave": (plan(1, leave=[1], decodes=[0]), "Request 1 must be in the batch to lea"),
    "leave twice": (plan(1, leave=[0, 0]), "Request 0 must be in the batch to leave"),
    "grow": (
        plan(1, grow=[(1, 5)], decodes=[0]),
        "Request 1 must be in the batch; it is not",
    ),
    "grow and leave": (
        plan(1, leave=[0], grow=[(0, 5)]),
        "Request 0 must be in the batch; it is not",
    ),
    "grow beyond the pool": (
        plan(1, grow=[(0, 24)], decodes=[0]),
        r"Request 0 needs block ids in the pool, 0\.\.23; got \(24,\)",
    ),
    "enter twice": (
        joins(entry(0)),
        "Request 0 must not be in the batch to enter; it is",
    ),
    "slot": (other(slot=4), r"Request 1 needs a slot in 0\.\.3; got 4"),
    "negative slot": (other(slot=-1), r"Request 1 needs a slot in 0\.\.3; got -1"),
    "taken slot": (other(slot=0), "Request 1 needs a free slot; got 0, which is taken"),
    "vocabulary": (
        other(tokens=TokenIds((*PROMPT[1:], 97))),
        r"Request 1 needs token ids in 0\.\.96, the model's vocabulary; got 97",
    ),
    "context": (
        other(tokens=TokenIds([1] * 64)),
        "Request 1 needs fewer tokens than the model's context of 64; got 64. Shorten",
    ),
    "no tokens": (
        other(tokens=TokenIds([])),
        r"Request 1 needs 0 <= cached < 0; got 0",
    ),
    "all cached": (other(cached=11), r"Request 1 needs 0 <= cached < 11; got 11"),
    "negative cached": (other(cached=-1), r"Request 1 needs 0 <= cached < 11; got -1"),
    "too few blocks": (
        other(blocks=(BlockId(5), BlockId(6))),
        "Request 1 needs blocks for 11 tokens; got room for 8",
    ),
    "no blocks": (
        other(blocks=()),
        "Request 1 needs blocks for 11 tokens; got room for 0",
    ),
    "block beyond the pool": (
        other(blocks=(BlockId(5), BlockId(6), BlockId(24))),
        r"Request 1 needs block ids in the pool, 0\.\.23; got \(5, 6, 24\)",
    ),
    "negative block": (
        other(blocks=(BlockId(5), BlockId(-1), BlockId(6))),
        r"Request 1 needs block ids in the pool, 0\.\.23; got \(5, -1, 6\)",
    ),
    "table beyond the context": (
        other(blocks=TABLE),
        "Request 1 can have at most 16 blocks, the model's context; got 129",
    ),
    "sampling": (
        other(sampling={"top_p": 2}),
        r"Request 1: sampling\['top_p'\] must be a number in 0\.\.1",
    ),
    "chunk of nobody": (
        plan(1, chunks=[chunk(1, 0, 3)], decodes=[0]),
        "Request 1 must be in the batch; it is not",
    ),
    "late chunk": (
        joins(entry(1, PROMPT, (5, 6, 7)), chunk(1, 4, 7)),
        r"Request 1 needs a chunk to start at 0 and end in 1\.\.11; got Chunk",
    ),
    "long chunk": (
        joins(entry(1, PROMPT, (5, 6, 7)), chunk(1, 0, 12)),
        r"Request 1 needs a chunk to start at 0 and end in 1\.\.11; got Chunk",
    ),
    "empty chunk": (
        joins(entry(1, PROMPT, (5, 6, 7)), chunk(1, 0, 0, samples=False)),
        r"Request 1 needs a chunk to start at 0 and end in 1\.\.11; got Chunk",
    ),
    "mute chunk": (
        joins(entry(1, PROMPT, (5, 6, 7)), chunk(1, 0, 11, samples=False)),
        "Request 1 samples at its end, 11; got Chunk",
    ),
    "early chunk": (
        joins(entry(1, PROMPT, (5, 6, 7)), chunk(1, 0, 4)),
        "Request 1 samples at its end, 11; got Chunk",
    ),
    "decode of nobody": (
        plan(1, decodes=[0, 1]),
        r"Request 1 must decode exactly if it drew a token and did not leave: \[1\]",
    ),
    "no decode": (
        plan(1),
        r"Request 0 must decode exactly if it drew a token and did not leave: \[0\]",
    ),
}

SHORT = tiny_model(context_length=64)


@pytest.mark.parametrize(("bad", "message"), PLANS.values(), ids=PLANS.keys())
def test_a_plan_without_sense_is_refused_and_changes_nothing(
    bad: StepPlan, message: str
) -> None:
    backend, sound = small(SHORT, debug=True), small(SHORT, debug=True)
    first(backend), first(sound)

    with pytest.raises(BackendError, match=message) as refused:
        backend.step(bad)

    assert ("torch", bad.step_id) == (refused.value.backend, refused.value.step_id)
    assert_same_future(sound, backend)


def assert_same_future(sound: TorchPagedBackend, backend: TorchPagedBackend) -> None:
    """Both give the same bits from now on: to request 0, and to one that joins."""
    due = plan(
        7,
        grow=[(0, 3)],
        enter=[entry(1, PROMPT, (5, 6, 7))],
        chunks=[chunk(1, 0, 11)],
        decodes=[0],
    )
    assert sound.step(due).tokens == backend.step(due).tokens
    for name in (RequestId(0), RequestId(1)):
        assert torch.equal(sound.logits[name], backend.logits[name])
    pairs = zip(decoded(sound, 8, 0, 1), decoded(backend, 8, 0, 1), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_two_of_a_plan_cannot_have_one_slot() -> None:
    enters = [entry(n, PROMPT, (5, 6, 7), slot=2) for n in (1, 2)]

    with pytest.raises(BackendError, match="Request 2 needs a free slot; got 2, which"):
        small().step(plan(0, enter=enters))


def test_a_slot_and_blocks_of_who_leaves_are_free_in_the_same_plan() -> None:
    backend, fresh = small(debug=True), small(debug=True)
    first(backend)
    text = tuple(range(20, 30))

    made = entry(1, text, (2, 1, 0), slot=0)
    backend.step(plan(1, leave=[0], enter=[made], chunks=[chunk(1, 0, 10)]))

    assert torch.equal(first(fresh, made)[1], backend.logits[RequestId(1)])


def test_a_plan_in_which_nothing_is_computed_is_answered() -> None:
    for mode in ("exact", "fast"):
        backend = small(mode=mode)
        assert {} == backend.step(plan(0)).tokens
        assert {} == backend.step(plan(1, enter=[entry(0)])).tokens
        assert {} == backend.step(plan(2, leave=[0])).tokens


def test_a_plan_after_close_is_refused() -> None:
    backend = small()
    first(backend)
    backend.close()
    backend.close()

    with pytest.raises(BackendError, match=r"Plan 1 came after close\(\)"):
        backend.step(plan(1, decodes=[0]))
    assert {} == backend.logits


# --- failed steps ---------------------------------------------------------------------

MEMORY: dict[str, Callable[[], Exception]] = {
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory"),
    "allocator": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate "
        "memory: you tried to allocate 9 bytes."
    ),
    "python": MemoryError,
}


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def forward(*_: object) -> Tensor:
        raise error

    monkeypatch.setattr(Network, "forward", forward)


@pytest.mark.parametrize("make", MEMORY.values(), ids=MEMORY.keys())
def test_a_step_without_memory_fails_and_no_other(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Exception]
) -> None:
    backend, sound = small(debug=True), small(debug=True)
    first(backend), first(sound)
    bad = plan(
        1, enter=[entry(1, PROMPT, (5, 6, 7))], chunks=[chunk(1, 0, 11)], decodes=[0]
    )

    with monkeypatch.context() as patched:
        failing(patched, make())
        with pytest.raises(
            BackendError, match="Step 1 of 12 positions ran out of memory"
        ) as refused:
            backend.step(bad)

    assert ("torch", 1) == (refused.value.backend, refused.value.step_id)
    assert_same_future(sound, backend)


def test_blocks_that_a_failed_step_claimed_are_poisoned_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = small(debug=True)
    first(backend)
    bad = plan(
        1,
        grow=[(0, 3)],
        enter=[entry(1, PROMPT, (5, 6, 7))],
        chunks=[chunk(1, 0, 11)],
        decodes=[0],
    )

    with monkeypatch.context() as patched:
        failing(patched, RuntimeError("a bug"))
        with pytest.raises(RuntimeError, match=r"^a bug$"):
            backend.step(bad)

    assert bool(backend._batch.pool.keys[:, [3, 5, 6, 7]].isnan().all())


def test_other_errors_pass_unchanged_and_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, sound = small(), small()
    first(backend), first(sound)

    with monkeypatch.context() as patched:
        failing(patched, RuntimeError("a bug"))
        with pytest.raises(RuntimeError, match=r"^a bug$"):
            backend.step(plan(1, grow=[(0, 9)], decodes=[0]))

    assert_same_future(sound, backend)


def test_logits_that_are_no_numbers_fail_the_step_by_name() -> None:
    model = tiny_model(seed=1)
    model.weights.norm[0] = torch.nan

    with pytest.raises(BackendError, match="Request 0: the largest logit must be a"):
        first(small(model))
