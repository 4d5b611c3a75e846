"""A step that fails, wherever it does, leaves nothing behind for those after it."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fairq import BackendError, RequestId
from fairq_backends.llama import Model
from fairq_backends.torch_paged import TorchPagedBackend
from fairq_backends.torch_paged._batch import Batch
from fairq_backends.torch_paged._forward import Network
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._standing import Standing
from tests.backends._plans import chunk, plan
from tests.backends.reference._models import tiny_model
from tests.backends.torch_paged._stage import PROMPT, decoded, entry, first, small

NOISY = 96
"""A token whose embedding is NaN."""


def noisy_model() -> Model:
    model = tiny_model(seed=3, tied=False)
    model.weights.embedding[NOISY] = torch.nan
    return model


ALLOCATOR = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


def no_memory(*_: object, **__: object) -> None:
    raise RuntimeError(ALLOCATOR)


MIXED = plan(
    1,
    grow=[(0, 9)],
    enter=[entry(1, PROMPT, (5, 6, 7))],
    chunks=[chunk(1, 0, 11)],
    decodes=[0],
)
"""Everything a plan may have, after ``first``."""


def assert_same_future(sound: TorchPagedBackend, backend: TorchPagedBackend) -> None:
    """The failed plan is carried out now, to the same bits as where nothing failed."""
    again = plan(
        2,
        grow=MIXED.grow,
        enter=MIXED.enter,
        chunks=MIXED.chunks,
        decodes=MIXED.decodes.ids(),
    )
    assert sound.step(again).tokens == backend.step(again).tokens
    for name in (RequestId(0), RequestId(1)):
        assert torch.equal(sound.logits[name], backend.logits[name])
    pairs = zip(decoded(sound, 3, 0, 1), decoded(backend, 3, 0, 1), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


# --- rows that are no numbers ---------------------------------------------------------


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_chunk_with_a_row_that_is_no_number_fails_by_name(mode: str) -> None:
    backend = small(noisy_model(), mode=mode)
    first(backend)
    shared = (*range(5, 13), 20, NOISY, 1)
    made = entry(1, shared, (5, 6, 7))
    chunks = [chunk(1, 0, 10, samples=False)]

    with pytest.raises(BackendError, match="Request 1: all that is computed for its"):
        backend.step(plan(1, enter=[made], chunks=chunks, decodes=[0]))


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_the_second_of_two_chunks_is_named_if_it_is_to_blame(mode: str) -> None:
    backend = small(noisy_model(), mode=mode)
    good, bad = entry(1), entry(2, (1, NOISY, 3, 4, 5), (5, 6))
    chunks = [chunk(1, 0, 4, samples=False), chunk(2, 0, 3, samples=False)]

    with pytest.raises(BackendError, match="Request 2: all that is computed for its"):
        backend.step(plan(0, enter=[good, bad], chunks=chunks))


def test_steps_in_which_everybody_decodes_look_at_drawn_rows_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, seen = small(), list[Tensor | None]()
    forward = Network.forward

    def spy(self: Network, *given: object) -> object:
        computed = forward(self, *given)  # type: ignore[arg-type]  # handed on
        seen.append(computed.finite)
        return computed

    monkeypatch.setattr(Network, "forward", spy)
    first(backend)
    decoded(backend, 1, 0)

    assert [11, None] == [None if each is None else len(each) for each in seen]


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_shorter_retry_does_not_read_what_a_failed_chunk_wrote(mode: str) -> None:
    text = (*range(5, 15), NOISY, 1)
    backend, sound = (small(noisy_model(), mode=mode) for _ in range(2))
    begins = plan(
        0,
        enter=[entry(0, text, (0, 1, 2))],
        chunks=[chunk(0, 0, 5, samples=False)],
    )
    backend.step(begins), sound.step(begins)

    with pytest.raises(BackendError, match="Request 0"):
        backend.step(plan(1, chunks=[chunk(0, 5, 7)]))

    retry = plan(2, chunks=[chunk(0, 5, 3, samples=False)])
    backend.step(retry), sound.step(retry)
    for mine, theirs in zip(pages(sound), pages(backend), strict=True):
        assert torch.equal(mine[:, :3], theirs[:, :3])


def pages(backend: TorchPagedBackend) -> tuple[Tensor, Tensor]:
    pool = backend._batch.pool
    return pool.keys, pool.values


def test_wiping_spares_the_outputs_of_who_left_and_enters_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its prompt is in the same blocks; who comes back with them is another entry."""
    backend = small()
    first(backend)
    decoded(backend, 1, 0)
    before = backend._batch.pool.keys[:, 2].clone()
    made = entry(0, PROMPT, (5, 6, 7))
    bad = plan(2, leave=[0], enter=[made], chunks=[chunk(0, 0, 11)])

    with monkeypatch.context() as patched:
        patched.setattr(Network, "forward", no_memory)
        with pytest.raises(BackendError, match="ran out of memory"):
            backend.step(bad)

    assert torch.equal(before, backend._batch.pool.keys[:, 2])


# --- memory ---------------------------------------------------------------------------


def test_what_a_failed_step_computed_is_let_go_before_the_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = small()
    first(backend)
    seen = list[weakref.ref[Tensor]]()
    alive_at_rollback = list[bool]()
    place = Standing.place

    def fails(_: Network, x: Tensor, *__: object) -> Tensor:
        seen.append(weakref.ref(x))
        raise torch.OutOfMemoryError

    def watched(self: Standing, *given: object) -> None:
        alive_at_rollback.append(seen[0]() is not None)
        place(self, *given)  # type: ignore[arg-type]  # handed on

    with monkeypatch.context() as patched:
        patched.setattr(Network, "_logits", fails)
        patched.setattr(Standing, "place", watched)
        with pytest.raises(BackendError) as kept:
            backend.step(plan(1, decodes=[0]))

    gc.collect()
    assert isinstance(kept.value.__cause__, torch.OutOfMemoryError)
    assert [False] == alive_at_rollback
    assert seen[0]() is None


PLACES: dict[str, tuple[type, str, int]] = {
    "claim to grow": (KvPool, "claim", 1),
    "claim to enter": (KvPool, "claim", 2),
    "write a block": (Standing, "write_block", 1),
    "place": (Standing, "place", 1),
    "layout": (Batch, "layout", 1),
    "rows": (Network, "rows", 1),
    "advance": (Standing, "advance", 1),
    "reorder": (Batch, "_reorder", 1),
}
"""Whose method, and which of its calls."""


@pytest.mark.parametrize(("owner", "name", "call"), PLACES.values(), ids=PLACES.keys())
def test_memory_may_run_out_anywhere_in_a_step(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int
) -> None:
    backend, sound = small(), small()
    first(backend), first(sound)
    real: Callable[..., object] = getattr(owner, name)
    calls = list[int]()

    def fails(*given: object) -> object:
        calls.append(1)
        if len(calls) == call:
            raise RuntimeError(ALLOCATOR)
        return real(*given)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, fails)
        with pytest.raises(BackendError, match="Step 1 of 12 positions ran out of mem"):
            backend.step(MIXED)

    assert_same_future(sound, backend)


def test_a_rollback_without_memory_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend, sound = small(), small()
    first(backend), first(sound)
    text = tuple(range(20, 31))
    made = entry(1, text, (5, 6, 7), slot=0, sampling={"temperature": 9.0})
    bad = plan(1, leave=[0], enter=[made], chunks=[chunk(1, 0, 11)])

    with monkeypatch.context() as patched:
        patched.setattr(Network, "rows", no_memory)
        patched.setattr(Batch, "_place_all", no_memory)
        with pytest.raises(BackendError, match="ran out of memory"):
            backend.step(bad)

    (expected,), (actual,) = decoded(sound, 2, 0), decoded(backend, 2, 0)
    assert torch.equal(expected, actual)


@pytest.mark.parametrize("verb", ["create", "execute"])
def test_onednn_without_memory_is_told_to_be_beyond_repair(
    monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    backend = small()
    first(backend)

    def fails(*_: object) -> Tensor:
        msg = f"could not {verb} a primitive"
        raise RuntimeError(msg)

    monkeypatch.setattr(Network, "forward", fails)
    with pytest.raises(
        BackendError,
        match=r"Step 1 .* memory; .* not recover .* start the process anew",
    ):
        backend.step(plan(1, decodes=[0]))


def test_other_lacks_of_memory_are_not() -> None:
    backend = small()
    first(backend)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Network, "forward", no_memory)
        with pytest.raises(BackendError) as refused:
            backend.step(plan(1, decodes=[0]))

    assert "oneDNN" not in str(refused.value)
