import attrs
import pytest

from fairq import Request, TokenIds, UsageError


def build(**changes: object) -> Request:
    fields: dict[str, object] = {"tenant": "a", "prompt": [1, 2], "max_tokens": 3}
    return Request(**{**fields, **changes})  # type: ignore[arg-type]  # wrong types are the test


def test_a_prompt_of_integers_is_packed_once() -> None:
    assert TokenIds([1, 2]) == build().prompt


def test_packed_prompts_are_shared_and_not_copied() -> None:
    packed = TokenIds([5, 6, 7])
    assert packed.raw is build(prompt=packed).prompt.raw


def test_a_prompt_may_come_from_a_generator() -> None:
    assert TokenIds([0, 1, 2]) == build(prompt=iter(range(3))).prompt


def test_sampling_is_handed_on_untouched() -> None:
    opaque = object()
    assert opaque is build(sampling=opaque).sampling


def test_a_request_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        build().max_tokens = 9  # type: ignore[misc]  # that it is refused is the test


def test_equal_fields_make_equal_requests() -> None:
    assert build() == build()
    assert build() != build(max_tokens=4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", ""),
        ("tenant", None),
        ("tenant", 7),
        ("prompt", []),
        ("prompt", [-1]),
        ("prompt", [2**31]),
        ("prompt", [1.5]),
        ("prompt", ["1"]),
        ("prompt", "text"),
        ("prompt", b"bytes"),
        ("prompt", None),
        ("max_tokens", 0),
        ("max_tokens", -4),
        ("max_tokens", 1.0),
        ("max_tokens", True),
        ("max_tokens", None),
        ("adapter", ""),
        ("adapter", 7),
    ],
)
def test_a_field_out_of_its_bounds_is_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError):
        build(**{field: value})


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(TypeError):
        Request("a", [1], 3)  # type: ignore[call-arg]  # that it is refused is the test


def test_a_request_has_no_adapter_unless_told() -> None:
    assert build().adapter is None
    assert build(adapter="lora-7").adapter == "lora-7"
    assert build(adapter="lora-7") != build()
