"""What a model can never run is found before it is queued, with the right error."""

import pytest

from fairq import Request, RequestRejected, UsageError
from fairq_backends.sampling import RequestCheck, SamplingParams

CHECK = RequestCheck(vocab_size=97, context_length=8)


def request(*prompt: int, sampling: object = None) -> Request:
    return Request(tenant="a", prompt=prompt, max_tokens=100, sampling=sampling)


@pytest.mark.parametrize(
    "sampling", [None, {}, {"top_p": 0.5, "stop": [96]}, SamplingParams(top_k=3)]
)
def test_what_a_step_would_run_passes(sampling: object) -> None:
    CHECK.check(request(*range(7), sampling=sampling))
    CHECK.check(request(0, 96, sampling=sampling))


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError) as refused:
        CHECK.check(request(1, 97, 2))

    assert (
        "Request.prompt must have token ids in 0..96, the model's vocabulary; got 97."
    ) == str(refused.value)


def test_a_prompt_that_fills_the_context_is_rejected_for_good() -> None:
    with pytest.raises(RequestRejected) as refused:
        CHECK.check(request(*range(8)))

    assert (False, 9, 8) == (
        refused.value.retryable,
        refused.value.needed,
        refused.value.available,
    )
    assert (
        "Request needs 9 positions (its prompt and one token) but the model's context "
        "has 8; it can never run. Shorten the prompt."
    ) == str(refused.value)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        ({"top_p": 2}, r"^sampling\['top_p'\] must be a number in 0\.\.1 .*; got 2\.$"),
        ({"topp": 1}, "^sampling has the unknown key 'topp'.* Did you mean 'top_p'"),
        ("greedy", "^sampling must be None, a mapping or SamplingParams; got str"),
    ],
    ids=["value", "key", "type"],
)
def test_sampling_that_is_not_understood_is_refused(
    sampling: object, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        CHECK.check(request(1, sampling=sampling))


def test_an_adapter_that_nobody_loads_is_refused() -> None:
    asked = Request(tenant="a", prompt=[1], max_tokens=1, adapter="german")

    with pytest.raises(UsageError, match=r"adapter must be None.*; got 'german'\.$"):
        CHECK.check(asked)
