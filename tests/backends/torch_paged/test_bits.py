"""Exact mode needs all of its parts: without one, the check of its bits fails.

The check itself, with random schedules, is ``property_tests/executor``.
"""

from random import Random  # noqa: TID251  # seeded here
from typing import Final

import attrs
import pytest
import torch
from torch import Tensor

from fairq import RequestId
from fairq_backends.torch_paged import _linear
from fairq_backends.torch_paged._batch import Batch
from fairq_backends.torch_paged._layout import StepLayout
from fairq_backends.torch_paged._ops import Linear, Work
from fairq_backends.torch_paged._pool import LayerPool
from fairq_backends.torch_paged._sdpa import FastWork
from fairq_backends.torch_paged._torch_ops import ExactTorchOps
from property_tests.executor.driver import Driver, differing
from property_tests.executor.kernels import serve
from property_tests.executor.models import WIDE, model_of
from property_tests.executor.solo import Solo
from property_tests.executor.traces import tight, trace
from tests.backends._plans import chunk, plan
from tests.backends.torch_paged._stage import entry, small

SEEDS: Final = range(3)
DTYPES: Final = ("float32", "bfloat16")


def others(dtype: str, mode: str = "exact") -> int:
    """How many requests of a handful of traces get other bits than alone."""
    found = 0
    for seed in SEEDS:
        random = Random(seed)  # noqa: S311  # no secret
        made = attrs.evolve(trace(random, dtype, 4), shape=WIDE)
        driver = Driver(made.backend(mode), random)
        driver.serve(made.requests)
        alone = Solo.of(model_of(made.shape), dtype, mode)
        found += len(differing(driver, made.requests, alone))
    return found


@pytest.fixture
def plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build of Torch that cannot multiply packed weights."""
    monkeypatch.setattr(_linear, "_packs_type", lambda dtype: False)  # noqa: ARG005  # as it is called


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_mode_gives_every_request_the_bits_of_its_run_alone(dtype: str) -> None:
    assert 0 == others(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.usefixtures("plain_torch")
def test_exact_mode_does_so_without_packed_weights(dtype: str) -> None:
    assert 0 == others(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_fast_mode_does_not(dtype: str) -> None:
    assert 0 < others(dtype, "fast")


# --- shared prefixes ------------------------------------------------------------------


def others_of_a_kernel() -> tuple[int, int]:
    """The same, served by a kernel that shares; and how many prefixes were found."""
    found, hits = 0, 0
    for seed in SEEDS:
        random = Random(seed)  # noqa: S311  # no secret
        made = tight(random, trace(random, "float32", 4))
        names, seen = serve(made, random)
        found += len(names)
        hits += seen["prefix hit"]
    return found, hits


def cleared(self: Batch, blocks: list[int]) -> None:
    self.pool.claim(blocks)


def test_a_prefix_that_is_found_changes_no_bit() -> None:
    found, hits = others_of_a_kernel()

    assert 0 == found
    assert hits > 0


def test_prefixes_need_blocks_that_keep_what_they_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Batch, "_release", cleared)

    found, _ = others_of_a_kernel()

    assert 0 < found


# --- one part less --------------------------------------------------------------------


def unprobed(
    self: ExactTorchOps, multiply: Linear, weight: Tensor, kind: tuple[str, int]
) -> Linear:
    del self, weight, kind
    return multiply


def as_many_as_there_are(self: ExactTorchOps, rows: int) -> int:
    del self
    return rows


@attrs.frozen(eq=False)
class Sdpa:
    """Torch's attention in the place of the fold."""

    work: FastWork

    def attend(self, qkv: Tensor, pool: LayerPool) -> Tensor:
        # In the type of the model, as in fast mode; the pool of exact mode is wider.
        own = LayerPool(pool.keys.to(qkv.dtype), pool.values.to(qkv.dtype))
        mixed = self.work.attend(qkv, own)
        pool.keys.copy_(own.keys)
        pool.values.copy_(own.values)
        return torch.nn.functional.pad(mixed, (0, 0, 0, len(qkv) - len(mixed)))


def sdpa_work(self: ExactTorchOps, layout: StepLayout) -> Work:
    return Sdpa(FastWork.of(layout, self._rows(layout), self.tables))


def torch_silu(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate.contiguous()) * up


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_mode_needs_products_that_know_no_batch(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(ExactTorchOps, "_probed", unprobed)
    monkeypatch.setattr(ExactTorchOps, "padded", as_many_as_there_are)

    assert 0 < others(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_exact_mode_needs_the_canonical_fold(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(ExactTorchOps, "prepare", sdpa_work)

    assert 0 < others(dtype)


def last_logits(chunk_length: int) -> Tensor:
    """Of a prompt of 64 tokens, cut into such chunks."""
    backend = small(model_of("G 3, D 16"), tokens_per_step=64)
    made = entry(0, tuple(range(64)), tuple(range(16)))
    for start in range(0, 64, chunk_length):
        enters = [] if start else [made]
        samples = start + chunk_length == 64
        work = [chunk(0, start, chunk_length, samples=samples)]
        backend.step(plan(start, enter=enters, chunks=work))
    return backend.logits[RequestId(0)]


@pytest.mark.usefixtures("plain_torch")
def test_exact_mode_needs_a_silu_that_knows_no_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert torch.equal(last_logits(64), last_logits(8))

    monkeypatch.setattr(_linear, "_swiglu", torch_silu)
    monkeypatch.setattr(ExactTorchOps, "_probed", unprobed)

    assert not torch.equal(last_logits(64), last_logits(8))
