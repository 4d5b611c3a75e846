"""The reference backend keeps the protocol, and refuses what makes no sense."""

from collections.abc import Mapping
from typing import Final

import attrs
import pytest
import torch
from hypothesis import strategies as st

from fairq import (
    Backend,
    BackendError,
    BlockId,
    Capacity,
    Chunk,
    Request,
    RequestId,
    StepPlan,
    SyncBackend,
    UsageError,
)
from fairq.testing import check_backend
from fairq_backends.reference import ReferenceBackend
from fairq_backends.reference._backend import Answer
from fairq_backends.reference._sequence import Sequence
from tests.backends.reference._drive import (
    MODEL,
    SMALL,
    A,
    B,
    entry,
    first_step,
    plan,
)
from tests.backends.reference._models import tiny_model


class Faulty(ReferenceBackend):
    """Fails as late as a step can fail, when it is told to."""

    fails = False

    def _compute(self, plan: StepPlan, batch: Mapping[RequestId, Sequence]) -> Answer:
        answer = super()._compute(plan, batch)
        if self.fails:
            self.fails = False
            msg = "provoked"
            raise RuntimeError(msg)
        return answer


def fail_once(backend: Backend) -> None:
    assert isinstance(backend, Faulty)
    backend.fails = True


# --- protocol -------------------------------------------------------------------------


def test_it_keeps_the_step_protocol() -> None:
    report = check_backend(
        lambda: Faulty(MODEL, **SMALL), provoke=fail_once, examples=10
    )

    assert () == report.not_checked
    assert report.preemptions > 0
    assert report.cached_tokens > 0


def test_it_keeps_it_with_draws_and_ends_too() -> None:
    sampling = st.fixed_dictionaries(
        {"temperature": st.sampled_from([0.0, 0.8, 2.0]), "seed": st.integers(0, 9)},
        optional={
            "output_tokens": st.integers(1, 9),
            "top_k": st.integers(0, 9),
            "top_p": st.floats(0, 1),
            "stop": st.lists(st.integers(0, 96), max_size=5),
        },
    )
    requests = st.builds(
        Request,
        tenant=st.sampled_from(["a", "b"]),
        prompt=st.lists(st.integers(0, 96), min_size=1, max_size=9),
        max_tokens=st.integers(1, 12),
        sampling=sampling,
    )

    report = check_backend(
        lambda: Faulty(MODEL, **SMALL), requests=requests, provoke=fail_once, examples=5
    )

    assert () == report.not_checked


def test_it_is_a_backend_with_the_capacity_it_was_given() -> None:
    backend = ReferenceBackend(MODEL, **SMALL)

    assert isinstance(backend, SyncBackend)
    assert Capacity(**SMALL, prefix_cache=True) == backend.capacity
    assert ("random", None) == (backend.model_name, backend.tokenizer)


def test_a_failed_step_changes_nothing() -> None:
    backend, sound = Faulty(MODEL, keep_logits=True), ReferenceBackend(MODEL)
    first_step(backend), first_step(sound)
    kept = backend.logits
    backend.fails = True

    with pytest.raises(RuntimeError, match="provoked"):
        backend.step(plan(1, leave=(A,)))

    assert kept is backend.logits
    expected = sound.step(plan(2, decodes={A: 0})).tokens
    assert expected == backend.step(plan(2, decodes={A: 0})).tokens


def test_a_step_takes_time() -> None:
    assert 0 < first_step(ReferenceBackend(MODEL)).elapsed_ns


# --- refusals -------------------------------------------------------------------------

REFUSED: Final = {
    "token": (
        plan(enter=(entry(tokens=(1, 97)),)),
        r"Request 0 needs token ids in 0\.\.96; got 97\.",
    ),
    "context": (
        plan(enter=(entry(tokens=(1,) * 512),)),
        r"Request 0 needs fewer than 512 tokens, the model's context; got 512\.",
    ),
    "sampling": (
        plan(enter=(entry(sampling={"top_p": 2}),)),
        r"Request 0: sampling\['top_p'\] must be a number in 0\.\.1 .*; got 2\.",
    ),
    "leave": (plan(leave=(B,)), "Request 1 leaves, but is not in the batch."),
    "grow": (
        plan(grow=((B, BlockId(1)),)),
        "Request 1 grows, but is not in the batch.",
    ),
    "table": (
        plan(enter=(attrs.evolve(entry(), blocks=(BlockId(1), BlockId(1))),)),
        r"Request 0 needs a table without repetition; got \(1, 1\)\.",
    ),
    "prompt beyond the tokens": (
        plan(enter=(entry(prompt_length=4),)),
        r"Request 0 needs a prompt of 1\.\.3 of its 3 tokens; got 4\.",
    ),
    "no tokens": (
        plan(enter=(entry(tokens=()),)),
        r"Request 0 needs a prompt of 1\.\.0 of its 0 tokens; got 0\.",
    ),
    "decodes": (
        plan(decodes={B: 1}),
        "Request 1 decodes, but is not in the batch.",
    ),
    "chunk": (
        plan(chunks=(Chunk(B, 0, 1, samples=True),)),
        "Request 1 has a chunk, but is not in the batch.",
    ),
    "twice": (
        plan(enter=(entry(), entry())),
        "Request 0 enters, but is in the batch.",
    ),
    "early": (
        plan(enter=(entry(),), chunks=(Chunk(A, 0, 2, samples=True),)),
        "Request 0 samples if, and only if, its chunk ends at 3; got Chunk",
    ),
    "mute": (
        plan(enter=(entry(),), chunks=(Chunk(A, 0, 3, samples=False),)),
        "Request 0 samples if, and only if, its chunk ends at 3; got Chunk",
    ),
}


@pytest.mark.parametrize(("bad", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_plan_without_sense_is_refused_and_changes_nothing(
    bad: StepPlan, message: str
) -> None:
    backend = ReferenceBackend(MODEL)

    with pytest.raises(BackendError, match=message) as refused:
        backend.step(bad)

    assert ("reference", 0) == (refused.value.backend, refused.value.step_id)
    assert first_step(ReferenceBackend(MODEL)).tokens == first_step(backend).tokens


def test_a_sequence_grows_by_one_block_at_most() -> None:
    backend = ReferenceBackend(MODEL)
    first_step(backend)

    twice = ((A, BlockId(1)), (A, BlockId(2)))
    with pytest.raises(BackendError, match="Request 0 grows twice, by one block at mo"):
        backend.step(plan(1, grow=twice, decodes={A: 0}))
    backend.step(plan(2, grow=twice[:1], decodes={A: 0}))


def test_an_old_plan_is_refused() -> None:
    backend = ReferenceBackend(MODEL)
    backend.step(plan(4))

    for step_id in (4, 0):
        with pytest.raises(BackendError, match="a step_id above 4, the last one"):
            backend.step(plan(step_id))


def test_a_plan_after_close_is_refused() -> None:
    backend = ReferenceBackend(MODEL, keep_logits=True)
    first_step(backend)
    backend.close()
    backend.close()

    with pytest.raises(BackendError, match=r"Plan 1 came after close\(\)"):
        backend.step(plan(1))
    assert {} == backend.logits
    assert "ReferenceBackend(model='random'" in repr(backend)


def test_logits_that_are_no_numbers_fail_the_step_by_name() -> None:
    model = tiny_model(seed=1)
    model.weights.norm[0] = torch.nan

    with pytest.raises(BackendError, match="Request 0: the largest logit must be a"):
        first_step(ReferenceBackend(model))


def test_options_out_of_their_bounds_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"dtype must be one of float32, .* got 'int8'"
    ):
        ReferenceBackend(MODEL, dtype="int8")
    with pytest.raises(UsageError, match=r"Capacity\.blocks must be an integer >= 1"):
        ReferenceBackend(MODEL, blocks=0)
    with pytest.raises(UsageError, match=r"model must be a name, a path or a Model"):
        ReferenceBackend(7)  # type: ignore[arg-type]  # wrong on purpose
