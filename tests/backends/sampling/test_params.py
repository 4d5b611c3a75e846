"""``Request.sampling`` is read as it was meant, or refused by name."""

import math

import pytest

from fairq import BackendError, RequestId, StepId, UsageError
from fairq_backends.sampling import MOST_STOP_IDS, SamplingParams

WHO = RequestId(7)

BAD: list[tuple[str, object, str]] = [
    ("temperature", math.nan, "a finite number >= 0"),
    ("temperature", math.inf, "a finite number >= 0"),
    ("temperature", -0.1, "a finite number >= 0"),
    ("temperature", "1", "a finite number >= 0"),
    ("temperature", True, "a finite number >= 0"),
    ("temperature", 10**400, "a finite number >= 0"),
    ("temperature", None, "a finite number >= 0"),
    ("top_k", -1, "an integer in 0..2**31-1"),
    ("top_k", 2**31, "an integer in 0..2**31-1"),
    ("top_k", 1.0, "an integer in 0..2**31-1"),
    ("top_k", True, "an integer in 0..2**31-1"),
    ("top_p", 1.01, "a number in 0..1"),
    ("top_p", -0.01, "a number in 0..1"),
    ("top_p", math.nan, "a number in 0..1"),
    ("top_p", True, "a number in 0..1"),
    ("seed", -1, "an integer in 0..2**63-1"),
    ("seed", 2**63, "an integer in 0..2**63-1"),
    ("seed", False, "an integer in 0..2**63-1"),
    ("stop", 2, "a tuple or list of at most 32 token ids"),
    ("stop", "2", "a tuple or list of at most 32 token ids"),
    ("stop", [-1], "a tuple or list of at most 32 token ids"),
    ("stop", [2**31], "a tuple or list of at most 32 token ids"),
    ("stop", [True], "a tuple or list of at most 32 token ids"),
    ("stop", list(range(33)), "a tuple or list of at most 32 token ids"),
    ("ignore_eos", 1, "True or False"),
    ("output_tokens", 0, "None or an integer in 1..2**31-1"),
    ("output_tokens", True, "None or an integer in 1..2**31-1"),
    ("output_tokens", 1.5, "None or an integer in 1..2**31-1"),
]


def test_nothing_is_greedy_decoding_up_to_the_end_token() -> None:
    params = SamplingParams.parse(None, request_id=WHO)

    assert SamplingParams() == params
    assert (0.0, 0, 1.0, 0) == (
        params.temperature,
        params.top_k,
        params.top_p,
        params.seed,
    )
    assert params.heeds_eos


def test_a_mapping_gives_the_fields_it_names() -> None:
    given = {"temperature": 1, "top_p": 0.5, "seed": 2**63 - 1, "stop": [3, 4]}

    params = SamplingParams.parse(given, request_id=WHO)

    assert (
        SamplingParams(temperature=1, top_p=0.5, seed=2**63 - 1, stop=(3, 4)) == params
    )
    assert [3, 4] == given["stop"]


def test_an_instance_is_taken_as_it_is() -> None:
    params = SamplingParams(top_k=5)

    assert params is SamplingParams.parse(params, request_id=WHO)


def test_what_the_simulator_hands_over_ignores_the_end_token() -> None:
    params = SamplingParams.parse({"output_tokens": 3}, request_id=WHO)

    assert 3 == params.output_tokens
    assert not params.heeds_eos
    assert not SamplingParams(ignore_eos=True).heeds_eos


def test_as_many_stop_tokens_as_the_table_holds_are_taken() -> None:
    ids = tuple(range(MOST_STOP_IDS))

    assert ids == SamplingParams(stop=ids).stop


@pytest.mark.parametrize(
    ("key", "value", "expected"), BAD, ids=[f"{k}={v!r:.14}" for k, v, _ in BAD]
)
def test_a_value_out_of_its_bounds_is_refused_by_name(
    key: str, value: object, expected: str
) -> None:
    with pytest.raises(BackendError) as refused:
        SamplingParams.parse({key: value}, request_id=WHO)
    with pytest.raises(UsageError) as wrong:
        SamplingParams(**{key: value})  # type: ignore[arg-type]  # wrong on purpose

    assert f"Request 7: sampling[{key!r}] must be {expected}" in str(refused.value)
    assert f"SamplingParams.{key} must be {expected}" in str(wrong.value)
    assert f"got {value!r}." in str(refused.value)


def test_an_unknown_key_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(BackendError) as refused:
        SamplingParams.parse(
            {"temprature": 1.0}, request_id=WHO, backend="reference", step_id=StepId(4)
        )

    assert (
        "Request 7: sampling has the unknown key 'temprature'. Known keys: temperature,"
        " top_k, top_p, seed, stop, ignore_eos, output_tokens. Did you mean"
        " 'temperature'?"
    ) == str(refused.value)
    assert ("reference", 4) == (refused.value.backend, refused.value.step_id)


@pytest.mark.parametrize("key", [3, None, ("temperature",), "q"])
def test_a_key_like_no_other_is_refused_without_a_guess(key: object) -> None:
    with pytest.raises(BackendError, match="unknown key") as refused:
        SamplingParams.parse({key: 1}, request_id=WHO)

    assert "Known keys: temperature, top_k" in str(refused.value)


@pytest.mark.parametrize("sampling", ["greedy", 0.7, [("top_k", 1)], SamplingParams])
def test_anything_else_is_refused(sampling: object) -> None:
    with pytest.raises(BackendError) as refused:
        SamplingParams.parse(sampling, request_id=WHO)

    assert "Request 7: sampling must be None, a mapping or SamplingParams; got " in str(
        refused.value
    )
