"""Making an executor: options, memory, and what is left after ``close``."""

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fairq import UsageError
from fairq_backends.llama import rope_table
from fairq_backends.torch_paged import TorchPagedBackend, _backend, _capacity
from fairq_backends.torch_paged._forward import Network
from fairq_backends.torch_paged._pool import KvPool
from fairq_backends.torch_paged._weights import placed
from tests.backends.reference._models import tiny_model
from tests.backends.torch_paged._stage import first, small


@pytest.mark.parametrize("model", [5, None, b"smollm2"])
def test_a_model_that_is_none_is_refused(model: Any) -> None:  # noqa: ANN401  # wrong on purpose
    with pytest.raises(UsageError, match="model must be a name, a path or a Model"):
        TorchPagedBackend(model=model, device="cpu")


def test_there_is_one_cpu() -> None:
    with pytest.raises(UsageError, match=r"device must be 'auto', .* got 'cpu:3'"):
        small(device="cpu:3")
    assert "cpu" == str(small(device="cpu:0")._batch.pool.keys.device)


def test_the_pool_is_sized_by_what_the_weights_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[str]()

    def moved(*given: Any) -> object:  # noqa: ANN401  # handed on
        calls.append("weights placed")
        return placed(*given)

    def measured(_: torch.device) -> int:
        calls.append("memory measured")
        return 10**6

    monkeypatch.setattr(_backend, "placed", moved)
    monkeypatch.setattr(_capacity, "_free_bytes", measured)
    small(blocks=None, dtype="bfloat16")

    assert ["weights placed", "memory measured"] == calls


SIZES: dict[str, tuple[dict[str, Any], str]] = {
    "blocks": ({"blocks": 10**15}, r"blocks=1,000,000,000,000,000 of block_size=4 tak"),
    "beyond 63 bits": ({"blocks": 2**62}, r"blocks=4,611,686,018,427,387,904 of"),
    "block size": ({"block_size": 10**18}, r"block_size=1,000,000,000,000,000,000 ta"),
    "sequences": ({"max_sequences": 10**12}, r"max_sequences=1,000,000,000,000 and"),
}


@pytest.mark.parametrize(("options", "message"), SIZES.values(), ids=SIZES.keys())
def test_sizes_that_no_memory_has_are_named(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=f"^Not enough memory on cpu: .*{message}"):
        small(**options)


def no_memory(*_: object, **__: object) -> None:
    msg = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
    raise RuntimeError(msg)


STAGES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "placing": lambda patch: patch.setattr(_backend, "placed", no_memory),
    "pool": lambda patch: patch.setattr(KvPool, "make", no_memory),
    "angles": lambda patch: patch.setattr(_backend, "rope_table", no_memory),
    "packing": lambda patch: patch.setattr(Network, "build", no_memory),
}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
def test_memory_may_run_out_at_any_stage(
    monkeypatch: pytest.MonkeyPatch, stage: Callable[[pytest.MonkeyPatch], None]
) -> None:
    stage(monkeypatch)
    with pytest.raises(UsageError, match="the weights take 183,792 bytes as float32"):
        small()


def test_other_errors_while_it_is_made_pass_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bug(*_: object, **__: object) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    monkeypatch.setattr(Network, "build", bug)
    with pytest.raises(RuntimeError, match=r"^a bug$"):
        small()


@pytest.mark.parametrize(("context", "expected"), [(2**31 - 1, 96), (64, 64)])
def test_angles_are_made_for_positions_that_can_be(
    monkeypatch: pytest.MonkeyPatch, context: int, expected: int
) -> None:
    lengths = list[int]()

    def spied(config: Any, length: int, device: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401  # handed on
        lengths.append(length)
        return rope_table(config, length, device)

    monkeypatch.setattr(_backend, "rope_table", spied)
    small(tiny_model(context_length=context))  # 24 blocks of 4

    assert [expected] == lengths


def test_nothing_holds_the_weights_after_close() -> None:
    for mode in ("exact", "fast"):
        model = tiny_model()
        backend = small(model, mode=mode)
        first(backend)
        tables = backend._batch.standing.tables
        held = (model, model.weights.embedding, backend._batch.pool.keys, tables)
        kept = list[weakref.ref[Any]](map(weakref.ref, held))
        del model, held, tables
        backend.close()
        gc.collect()

        assert [None] * 4 == [each() for each in kept]
        assert "model='random'" in repr(backend)
