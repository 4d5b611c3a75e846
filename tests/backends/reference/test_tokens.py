"""The reference backend says what the model says, whatever the schedule."""

from pathlib import Path
from typing import Any

import pytest
import torch

from fairq import (
    Chunk,
    Policy,
)
from fairq_backends.llama import Model
from fairq_backends.reference import ReferenceBackend, forward
from fairq_backends.sampling import SamplingParams
from tests.backends.reference._drive import (
    MODEL,
    SMALL,
    A,
    ask,
    entry,
    first_step,
    generated,
    plan,
)
from tests.backends.reference._models import tiny_model


@torch.inference_mode()
def greedy(model: Model, prompt: list[int], count: int) -> list[int]:
    """By the definition, up to an end token."""
    text = [*prompt]
    for _ in range(count):
        logits = forward(model.weights, model.config, torch.tensor(text))
        text.append(int(logits[-1].argmax()))
        if text[-1] in model.config.eos:
            break
    return text[len(prompt) :]


# --- what it says ---------------------------------------------------------------------


def test_tokens_are_those_of_the_definition() -> None:
    requests = [[5, 6, 7], [90], [*range(40)]]

    made = generated(ReferenceBackend(MODEL), *(ask(each, 9) for each in requests))

    assert [greedy(MODEL, each, 9) for each in requests] == made


def test_the_schedule_changes_nothing() -> None:
    requests = [
        ask([*range(n, n + 11)], 8, {"temperature": 1.5, "seed": n}) for n in range(6)
    ]
    alone = [generated(ReferenceBackend(MODEL), each)[0] for each in requests]

    small = Policy(max_sequences=3, token_budget=7)

    assert alone == generated(ReferenceBackend(MODEL, **SMALL), *requests, policy=small)
    assert 6 == len({*map(tuple, alone)})


def test_the_end_token_of_the_model_ends_a_text() -> None:
    said = greedy(MODEL, [5, 6, 7], 8)
    at = next(n for n in range(2, 8) if said[n] not in said[:n])
    model = tiny_model(eos=(said[at],))

    ended = generated(ReferenceBackend(model), ask([5, 6, 7], 8))
    ignored = generated(
        ReferenceBackend(model), ask([5, 6, 7], 8, {"ignore_eos": True})
    )
    asked = generated(ReferenceBackend(MODEL), ask([5, 6, 7], 8, {"stop": [said[at]]}))

    assert [said[: at + 1]] == ended == asked
    assert [said] == ignored


def test_a_text_ends_with_the_nth_output_token_also_after_a_preemption() -> None:
    sampling = {"output_tokens": 3}
    assert 3 == len(generated(ReferenceBackend(MODEL), ask([1], 9, sampling))[0])
    again = entry(A, (1, 8, 9), sampling, prompt_length=1)

    result = ReferenceBackend(MODEL).step(
        plan(enter=(again,), chunks=(Chunk(A, 0, 3, samples=True),))
    )

    assert (A,) == result.stopped


def test_a_text_ends_where_the_context_does() -> None:
    model = tiny_model(context_length=6)

    assert 4 == len(generated(ReferenceBackend(model), ask([1, 2], 9))[0])


@torch.inference_mode()
def test_logits_of_the_last_step_are_kept_if_asked_for() -> None:
    backend, silent = ReferenceBackend(MODEL, keep_logits=True), ReferenceBackend(MODEL)
    result = first_step(backend)
    first_step(silent)

    expected = forward(MODEL.weights, MODEL.config, torch.tensor([5, 6, 7]))[-1]
    assert [A] == [*backend.logits]
    assert 1e-5 > (expected - backend.logits[A]).abs().max()
    assert result.tokens[A] == int(backend.logits[A].argmax())
    assert {} == silent.logits
    backend.step(plan(1))
    assert {} == backend.logits


def test_sampling_may_be_an_instance() -> None:
    given = SamplingParams(temperature=2.0, seed=8)

    tokens = first_step(ReferenceBackend(MODEL), sampling=given).tokens

    as_mapping = {"temperature": 2.0, "seed": 8}
    expected = first_step(ReferenceBackend(MODEL), sampling=as_mapping).tokens
    assert expected == tokens


def test_weights_are_rounded_to_the_dtype_and_shared_if_they_have_it() -> None:
    exact = ReferenceBackend(MODEL, keep_logits=True)
    coarse = ReferenceBackend(MODEL, dtype="bfloat16", keep_logits=True)
    first_step(exact), first_step(coarse)

    assert MODEL.weights.embedding is exact._weights.embedding
    assert coarse._weights.head is coarse._weights.embedding
    assert torch.float32 == coarse._weights.embedding.dtype
    off = (exact.logits[A] - coarse.logits[A]).abs().max()
    assert 0.001 < off < 2


# --- a real model ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count"), [("capital", 30), ("fib", 12), ("chat_dogs", 8)]
)
def test_a_real_model_says_what_it_should(
    smollm2: Model, golden: dict[str, Any], name: str, count: int
) -> None:
    case = next(each for each in golden["prompts"] if each["name"] == name)

    made = generated(ReferenceBackend(smollm2), ask(case["prompt_ids"], count))

    assert [case["generated_ids"][:count]] == made


@torch.inference_mode()
def test_a_real_model_has_the_logits_it_should(
    smollm2: Model, golden: dict[str, Any]
) -> None:
    for case in golden["prompts"]:
        backend = ReferenceBackend(smollm2, keep_logits=True)
        first_step(backend, tuple(case["prompt_ids"]))
        best = backend.logits[A].topk(5)
        expected = case["first_step_top5"]
        assert [each["id"] for each in expected] == best.indices.tolist()
        values = [each["logit"] for each in expected]
        assert values == pytest.approx(best.values.tolist(), abs=1e-3)
    assert 3 <= len(golden["prompts"])


def test_a_model_is_loaded_from_its_file(smollm2_path: Path) -> None:
    backend = ReferenceBackend(smollm2_path)

    assert smollm2_path.stem == backend.model_name
    assert backend.tokenizer is not None
