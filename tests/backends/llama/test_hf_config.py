"""config.json and what lies around it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairq_backends.llama import LlamaConfig, ModelError, Rope, load_model
from fairq_backends.llama._hf_config import hf_config
from tests.backends.llama import _tiny as tiny


def config(folder: Path, **changes: object) -> LlamaConfig:
    path = folder / "config.json"
    path.write_text(json.dumps(tiny.config_json(**changes)))
    return hf_config(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["MistralForCausalLM"]}, "architecture MistralForCausalLM"),
        ({"architectures": ["Qwen2ForCausalLM"]}, "architecture Qwen2ForCausalLM is"),
        ({"architectures": []}, "architecture none is not run"),
        ({"architectures": "absent"}, "architectures is missing"),
        ({"architectures": "LlamaForCausalLM"}, "architectures should be a list"),
        ({"attention_bias": True}, "attention_bias is not run"),
        ({"mlp_bias": True}, "mlp_bias is not run"),
        ({"mlp_bias": 1}, "mlp_bias should be true or false, and is 1"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu' is not run, only 'silu'"),
        ({"quantization_config": {}}, "quantised safetensors are not read"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor other than 1"),
        ({"hidden_size": "absent"}, "hidden_size is missing"),
        ({"hidden_size": "32"}, "hidden_size should be a whole number, and is '32'"),
        ({"hidden_size": 0}, "hidden_size must be a whole number from 1"),
        ({"hidden_size": 2**31}, "hidden_size must be a whole number from 1"),
        ({"head_dim": 7}, "head_dim must be even for rotary embeddings, got 7"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"num_key_value_heads": 4}, "6 heads cannot share 4 KV heads evenly"),
        ({"rms_norm_eps": -1.0}, "norm_eps must be positive"),
        ({"rms_norm_eps": 10**400}, "rms_norm_eps is too large"),
        ({"eos_token_id": 259}, "Token id 259 .* is outside the vocabulary of 259"),
        ({"eos_token_id": [1, -2]}, "Token id -2 .* is outside the vocabulary"),
        ({"eos_token_id": "</s>"}, "eos_token_id should be token ids, and is '</s>'"),
        ({"bos_token_id": 1000}, "Token id 1000"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2}}, "rope type 'dynamic'"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "type 'yarn' is not known; known "),
        ({"rope_scaling": {"rope_type": "linear"}}, "factor is missing"),
        ({"rope_scaling": {"type": "linear", "factor": 0}}, "factor must be positive"),
        ({"rope_scaling": [1]}, "rope_scaling should be an object, and is .1."),
        ({"rope_parameters": {"beta_fast": 3}}, "beta_fast is not known for rope"),
        ({"rope_theta": True}, "rope_theta should be a number, and is True"),
    ],
    ids=str,
)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        config(tmp_path, **changes)
    assert tmp_path / "config.json" == caught.value.path
    assert str(tmp_path) in str(caught.value)


def test_what_is_left_out_is_what_transformers_takes(tmp_path: Path) -> None:
    optional = {
        "num_key_value_heads": "absent",
        "head_dim": "absent",
        "rms_norm_eps": "absent",
        "rope_theta": "absent",
        "max_position_embeddings": "absent",
        "tie_word_embeddings": "absent",
        "hidden_act": "absent",
        "bos_token_id": "absent",
        "eos_token_id": "absent",
    }
    found = config(tmp_path, hidden_size=48, **optional)
    assert (6, 8, 1e-6) == (found.kv_heads, found.head_dim, found.norm_eps)
    assert (Rope(), 2048, False) == (found.rope, found.context_length, found.tied)
    assert ((), None) == (found.eos, found.bos)


def test_null_counts_as_left_out(tmp_path: Path) -> None:
    found = config(tmp_path, rope_scaling=None, eos_token_id=None, mlp_bias=None)
    assert Rope(theta=5000.0) == found.rope
    assert () == found.eos


LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
LLAMA3_ROPE = Rope(theta=5000.0, kind="llama3", factor=8.0, original_context=64)


@pytest.mark.parametrize(
    ("changes", "rope"),
    [
        ({"rope_scaling": {"type": "linear", "factor": 2}}, "linear"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_parameters": {"rope_type": "default", "rope_theta": 5000}}, "default"),
        ({"rope_scaling": {"rope_type": "llama3", **LLAMA3}}, "llama3"),
        (
            {
                "rope_theta": "absent",
                "rope_parameters": {
                    "rope_type": "llama3",
                    "rope_theta": 5000.0,
                    **LLAMA3,
                },
            },
            "llama3",
        ),
    ],
    ids=str,
)
def test_rope_is_read_from_old_keys_and_from_new_ones(
    tmp_path: Path, changes: dict[str, Any], rope: str
) -> None:
    expected = {
        "default": Rope(theta=5000.0),
        "linear": Rope(theta=5000.0, kind="linear", factor=2.0),
        "llama3": LLAMA3_ROPE,
    }
    assert expected[rope] == config(tmp_path, **changes).rope


def test_llama3_bands_must_be_in_order(tmp_path: Path) -> None:
    turned = {**LLAMA3, "rope_type": "llama3", "low_freq_factor": 4.0}
    with pytest.raises(ModelError, match="needs low_freq_factor < high_freq_factor"):
        config(tmp_path, rope_scaling=turned)


def test_generation_config_says_where_texts_end(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 8, 7]}')
    assert (7, 8) == config(tmp_path).eos
    (tmp_path / "generation_config.json").write_text("{}")
    assert (256,) == config(tmp_path).eos


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is not JSON"),
        ("[]", "should hold a JSON object, and holds a list"),
        ("[" * 100_000, "config.json is not JSON"),
        ('{"a": ' * 100_000, "config.json is not JSON"),
        ("1" * 10_000, "config.json is not JSON"),
    ],
    ids=["half", "list", "deep", "deep-object", "long-number"],
)
def test_what_is_no_json_object_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        hf_config(tmp_path)


def test_what_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ModelError, match="is not JSON: 'utf-8' codec"):
        hf_config(tmp_path)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelError, match="has 1,073,741,824 bytes; expected a small"):
        hf_config(tmp_path)


# --- anything at all ------------------------------------------------------------------

WHOLE = json.dumps(tiny.config_json(rope_scaling={"rope_type": "llama3", **LLAMA3}))
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("model"))


def survives(folder: Path, text: bytes) -> None:
    (folder / "config.json").write_bytes(text)
    try:
        model = load_model(folder)
    except ModelError as error:
        told = str(error)
        assert str(folder) in told
    else:
        assert tiny.LAYERS == len(model.weights.layers)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=3
    ),
    keep=st.just(len(WHOLE)) | st.integers(0, len(WHOLE)),
)
def test_any_bytes_of_a_config_may_change(
    folder: Path, changes: list[tuple[int, int]], keep: int
) -> None:
    data = bytearray(WHOLE.encode())
    for place, byte in changes:
        data[place] = byte
    survives(folder, bytes(data[:keep]))


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.dictionaries(
        st.sampled_from([*tiny.config_json(), "rope_scaling", "rope_parameters"]),
        ANY,
        max_size=3,
    )
)
def test_any_value_of_a_config_may_be_anything(
    folder: Path, changes: dict[str, object]
) -> None:
    survives(folder, json.dumps(tiny.config_json() | changes).encode())
