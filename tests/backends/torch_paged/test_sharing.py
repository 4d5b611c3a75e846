"""Blocks that one sequence leaves to another.

Two that have the same blocks at once: ``test_oracle``.
"""

import pytest
import torch
from torch import Tensor

from fairq import BackendError, RequestId
from fairq_backends.torch_paged import TorchPagedBackend
from fairq_backends.torch_paged._forward import Network
from tests.backends._plans import chunk, plan
from tests.backends.torch_paged._stage import PROMPT, decoded, entry, first, small

OTHER = (*PROMPT[:8], 40, 41)
"""Begins with the first two blocks of ``PROMPT``, and goes on otherwise."""
HIT = entry(1, OTHER, (0, 1, 9), cached=8)


def alone() -> Tensor:
    """The logits after ``OTHER`` when nothing is shared."""
    return first(small(), entry(1, OTHER, (5, 6, 7)))[1]


def held(backend: TorchPagedBackend, *blocks: int) -> Tensor:
    """What is in these blocks."""
    pool = backend._batch.pool
    index = list(blocks)
    return torch.stack([pool.keys[:, index], pool.values[:, index]])


def failing_enter(backend: TorchPagedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step in which ``HIT`` enters and is computed in part, and which fails."""

    def forward(*_: object) -> Tensor:
        msg = "a bug"
        raise RuntimeError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(Network, "forward", forward)
        with pytest.raises(RuntimeError, match=r"^a bug$"):
            backend.step(
                plan(1, leave=[0], enter=[HIT], chunks=[chunk(1, 8, 2)]),
            )


def test_blocks_can_be_shared_but_for_debug_mode() -> None:
    assert small().capacity.prefix_cache
    assert small(blocks=None).capacity.prefix_cache
    assert not small(debug=True).capacity.prefix_cache


def test_blocks_of_one_who_left_are_found_as_they_were() -> None:
    backend = small()
    first(backend)

    backend.step(plan(1, leave=[0], enter=[HIT], chunks=[chunk(1, 8, 2)]))

    assert torch.equal(alone(), backend.logits[RequestId(1)])


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_shared_blocks_are_neither_cleared_nor_written(mode: str) -> None:
    backend = small(mode=mode)
    first(backend)
    before = held(backend, 0, 1)

    backend.step(plan(1, leave=[0], enter=[HIT], chunks=[chunk(1, 8, 2)]))
    decoded(backend, 2, 1)

    assert torch.equal(before, held(backend, 0, 1))


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_a_failed_step_leaves_shared_blocks_as_they_were(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = small(mode=mode)
    first(backend)
    before = held(backend, 0, 1, 2)

    failing_enter(backend, monkeypatch)

    assert torch.equal(before, held(backend, 0, 1, 2))
    assert [0] == list(backend._batch.sequences)


def test_after_a_failed_step_the_same_blocks_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backend = small()
    first(backend)
    failing_enter(backend, monkeypatch)

    backend.step(plan(2, leave=[0], enter=[HIT], chunks=[chunk(1, 8, 2)]))

    assert torch.equal(alone(), backend.logits[RequestId(1)])


def test_a_part_of_a_block_cannot_be_shared() -> None:
    backend = small()
    first(backend)
    made = entry(1, OTHER, (0, 1, 9), cached=6)

    with pytest.raises(
        BackendError, match="Request 1 needs cached to be whole blocks of 4; got 6"
    ):
        backend.step(plan(1, enter=[made], chunks=[chunk(1, 6, 4)], decodes=[0]))
