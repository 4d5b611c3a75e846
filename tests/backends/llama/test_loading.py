"""The same model from a GGUF file and from Hugging Face folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor

from fairq import FairqError, UsageError
from fairq_backends.llama import LlamaConfig, Model, ModelError, Rope, load_model
from tests.backends.llama import _tiny as tiny
from tests.backends.llama._gguf_writer import Stored

CONFIG = LlamaConfig(
    vocab_size=259,
    hidden_size=32,
    intermediate_size=40,
    layers=2,
    heads=6,
    kv_heads=2,
    head_dim=8,
    norm_eps=1e-5,
    rope=Rope(theta=5000.0),
    context_length=128,
    tied=True,
    eos=(256,),
    bos=257,
)


def same(expected: Tensor, actual: Tensor) -> bool:
    return expected.dtype == actual.dtype and torch.equal(expected, actual)


def assert_weights(expected: tiny.Weights, model: Model) -> None:
    """Each fused tensor against the single ones."""
    weights = model.weights
    assert same(expected["model.embed_tokens.weight"], weights.embedding)
    assert same(expected["model.norm.weight"], weights.norm)
    assert len(weights.layers) == tiny.LAYERS
    for number, layer in enumerate(weights.layers):
        of = {
            name.removeprefix(f"model.layers.{number}.").removesuffix(".weight"): it
            for name, it in expected.items()
        }
        projections = [of[f"self_attn.{each}_proj"] for each in "qkv"]
        assert same(torch.cat(projections), layer.qkv)
        assert same(of["self_attn.o_proj"], layer.output)
        assert same(torch.cat([of["mlp.gate_proj"], of["mlp.up_proj"]]), layer.gate_up)
        assert same(of["mlp.down_proj"], layer.down)
        assert same(of["input_layernorm"], layer.attention_norm)
        assert same(of["post_attention_layernorm"], layer.mlp_norm)


# --- the same weights from everywhere -------------------------------------------------


def test_a_folder_gives_its_weights_fused(tmp_path: Path) -> None:
    model = load_model(tiny.folder(tmp_path / "model"))
    assert_weights(tiny.weights(), model)
    assert CONFIG == model.config
    assert "model" == model.name
    assert model.tokenizer is None


def test_a_gguf_file_gives_the_same_with_its_rows_put_back(tmp_path: Path) -> None:
    model = load_model(tiny.gguf_file(tmp_path / "some.gguf"))
    assert_weights(tiny.weights(), model)
    assert "some" == model.name
    assert pytest.approx(1e-5) == model.config.norm_eps
    assert CONFIG.rope == model.config.rope
    assert CONFIG.parameters == model.config.parameters


def test_the_order_of_rows_matters_to_this_test(tmp_path: Path) -> None:
    """A control: without the permutation the files differ."""
    weights = tiny.weights()
    rows = weights["model.layers.0.self_attn.q_proj.weight"]
    assert not torch.equal(rows, tiny.permuted(rows, tiny.HEADS))
    model = load_model(tiny.folder(tmp_path / "model"))
    assert same(rows, model.weights.layers[0].qkv[: len(rows)])


def test_several_files_with_an_index_are_one_model(tmp_path: Path) -> None:
    folder = sharded(tmp_path, tiny.weights())
    assert_weights(tiny.weights(), load_model(folder))


def sharded(path: Path, weights: tiny.Weights) -> Path:
    tiny.folder(path)
    (path / "model.safetensors").unlink()
    names = sorted(weights)
    files = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, own in files.items():
        save_file({name: weights[name] for name in own}, path / file)
    places = {name: file for file, own in files.items() for name in own}
    index = {"metadata": {}, "weight_map": places}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def test_what_transformers_saves_is_what_is_loaded(tmp_path: Path) -> None:
    import transformers  # slow to import

    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=97,
            hidden_size=48,
            intermediate_size=80,
            num_hidden_layers=2,
            num_attention_heads=6,
            num_key_value_heads=2,
            head_dim=16,
            tie_word_embeddings=False,
            rope_parameters={"rope_type": "linear", "rope_theta": 777.0, "factor": 4.0},
        )
    )
    theirs.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    state = theirs.state_dict()
    tiny_layers = {name: it for name, it in state.items() if name != "lm_head.weight"}
    assert_weights(tiny_layers, model)
    assert same(state["lm_head.weight"], model.weights.head)
    assert Rope(theta=777.0, kind="linear", factor=4.0) == model.config.rope
    assert (16, 6, 2) == attention(model.config)
    assert sum(it.numel() for it in state.values()) == model.config.parameters


def attention(config: LlamaConfig) -> tuple[int, int, int]:
    return config.head_dim, config.heads, config.kv_heads


# --- heads, types, devices ------------------------------------------------------------


def test_a_tied_head_is_the_embedding_itself(tmp_path: Path) -> None:
    weights = load_model(tiny.gguf_file(tmp_path / "a.gguf")).weights
    assert weights.head is weights.embedding


@pytest.mark.parametrize("kind", ["gguf", "folder"])
def test_a_head_of_its_own_is_loaded(tmp_path: Path, kind: str) -> None:
    untied = tiny.weights(tied=False)
    if kind == "gguf":
        path = tiny.gguf_file(tmp_path / "a.gguf", given=tiny.tensors(untied))
    else:
        path = tiny.folder(tmp_path / "a", untied, tie_word_embeddings=False)
    model = load_model(path)
    assert not model.config.tied
    assert same(untied["lm_head.weight"], model.weights.head)


def test_a_stored_copy_of_a_tied_head_is_no_surprise(tmp_path: Path) -> None:
    weights = tiny.weights()
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    model = load_model(tiny.folder(tmp_path, weights))
    assert model.weights.head is model.weights.embedding


@pytest.mark.parametrize("change", ["number", "dtype"])
def test_a_tied_head_that_is_another_is_refused(tmp_path: Path, change: str) -> None:
    weights = tiny.weights()
    head = weights["model.embed_tokens.weight"].clone()
    head[3, 4] += 1
    weights["lm_head.weight"] = head if change == "number" else head.half()
    with pytest.raises(ModelError, match=r"disagree: .* lm_head.weight is another"):
        load_model(tiny.folder(tmp_path, weights))


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str
)
@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_weights_become_the_dtype_that_is_asked_for(
    tmp_path: Path, dtype: torch.dtype, stored: torch.dtype
) -> None:
    kept = {name: it.to(stored) for name, it in tiny.weights().items()}
    model = load_model(tiny.folder(tmp_path, kept), dtype=dtype)
    assert_weights({name: it.to(dtype) for name, it in kept.items()}, model)


def test_other_dtypes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not torch.float64\.$"):
        load_model(tiny.folder(tmp_path), dtype=torch.float64)


def test_loaded_weights_outlive_their_file(tmp_path: Path) -> None:
    path = tiny.gguf_file(tmp_path / "a.gguf")
    model = load_model(path)
    path.write_bytes(b"")
    assert_weights(tiny.weights(), model)


def test_old_files_with_frequencies_in_them_load(tmp_path: Path) -> None:
    weights = tiny.weights()
    weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    assert_weights(tiny.weights(), load_model(tiny.folder(tmp_path, weights)))


# --- config and weights must agree ----------------------------------------------------


def test_a_missing_tensor_is_named(tmp_path: Path) -> None:
    weights = tiny.weights()
    del weights["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(
        ModelError, match=r"tensor model.layers.1.mlp.up_proj.weight is missing"
    ) as caught:
        load_model(tiny.folder(tmp_path, weights))
    assert isinstance(caught.value, FairqError)
    assert tmp_path == caught.value.path


def test_a_head_that_is_missing_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lm_head.weight is missing"):
        load_model(tiny.folder(tmp_path, tie_word_embeddings=False))


def test_a_bias_is_refused_by_name(tmp_path: Path) -> None:
    surplus = {**tiny.tensors(), "blk.0.attn_q.bias": Stored(0, (48,), bytes(192))}
    with pytest.raises(ModelError, match=r"the first is blk.0.attn_q.bias\.$"):
        load_model(tiny.gguf_file(tmp_path / "a.gguf", given=surplus))


def test_more_layers_than_the_config_says_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"9 tensors are not part .*model.layers.1"):
        load_model(tiny.folder(tmp_path, num_hidden_layers=1))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"hidden_size": 36}, "embed_tokens"),
        ({"vocab_size": 260}, "embed_tokens"),
        ({"intermediate_size": 41}, "gate_proj"),
        ({"num_attention_heads": 8}, "q_proj"),
        ({"num_key_value_heads": 3}, "k_proj"),
        ({"head_dim": 16}, "q_proj"),
    ],
    ids=str,
)
def test_sizes_that_disagree_are_named_by_tensor(
    tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    with pytest.raises(ModelError, match=f"config and weights disagree: .*{name}"):
        load_model(tiny.folder(tmp_path, **change))


def test_a_claim_of_a_billion_layers_ends_at_the_first_missing_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(ModelError, match=r"model.layers.2.* is missing"):
        load_model(tiny.folder(tmp_path, num_hidden_layers=2_000_000_000))


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(
    tmp_path: Path,
) -> None:
    weights = tiny.weights()
    weights["model.embed_tokens.weight"] = torch.zeros(258, tiny.WIDTH)
    path = tiny.gguf_file(
        tmp_path / "a.gguf", given=tiny.tensors(weights), llama__vocab_size=258
    )
    with pytest.raises(ModelError, match=r"knows 258 tokens, .* ids up to 258\.$"):
        load_model(path)


# --- what is no model -----------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such file or folder") as caught:
        load_model(tmp_path / "none.gguf")
    assert tmp_path / "none.gguf" == caught.value.path


def test_a_folder_without_a_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config.json cannot be read"):
        load_model(tmp_path)


def test_a_folder_without_weights_says_what_is_read(tmp_path: Path) -> None:
    tiny.folder(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"neither model.safetensors nor model.saf"):
        load_model(tmp_path)


def test_a_lone_safetensors_file_needs_its_folder(tmp_path: Path) -> None:
    tiny.folder(tmp_path)
    with pytest.raises(ModelError, match=r"give the folder that holds config.json"):
        load_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("keep", [0, 7, 100, 5000, -1])
def test_a_safetensors_file_that_is_cut_off_is_named(tmp_path: Path, keep: int) -> None:
    file = tiny.folder(tmp_path) / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"model.safetensors cannot be read"):
        load_model(tmp_path)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    sharded(tmp_path, tiny.weights())
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(ModelError, match=r"b.safetensors cannot be read"):
        load_model(tmp_path)


def test_an_index_may_not_point_outside_its_folder(tmp_path: Path) -> None:
    sharded(tmp_path, tiny.weights())
    index = {"weight_map": {"model.norm.weight": "../other/a.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"'../other/a.safetensors' should be the"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({}, "weight_map is missing"),
        ({"weight_map": []}, "weight_map should be an object"),
        ({"weight_map": {"a": 3}}, "a should be a text, and is 3"),
        ([], "should hold a JSON object, and holds a list"),
    ],
    ids=str,
)
def test_a_broken_index_is_named(tmp_path: Path, index: object, message: str) -> None:
    sharded(tmp_path, tiny.weights())
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path)


def test_a_tensor_in_two_files_is_refused(tmp_path: Path) -> None:
    weights = tiny.weights()
    sharded(tmp_path, weights)
    save_file(weights, tmp_path / "b.safetensors")
    with pytest.raises(ModelError, match=r"is in a.safetensors and b.safetensors\.$"):
        load_model(tmp_path)


def test_types_that_are_not_read_are_refused_by_name(tmp_path: Path) -> None:
    weights = tiny.weights()
    weights["model.norm.weight"] = torch.ones(tiny.WIDTH, dtype=torch.int8)
    with pytest.raises(ModelError, match=r"model.norm.weight is I8; read are F32, F16"):
        load_model(tiny.folder(tmp_path, weights))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.folder(tmp_path_factory.mktemp("model"))


WHOLE = save(tiny.weights())
HEADER = 8 + int.from_bytes(WHOLE[:8], "little")


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(
        st.tuples(st.integers(0, HEADER - 1), st.integers(0, 255)), max_size=3
    ),
    keep=st.just(len(WHOLE)) | st.integers(0, len(WHOLE)),
)
def test_any_bytes_of_a_safetensors_header_may_change(
    folder: Path, changes: list[tuple[int, int]], keep: int
) -> None:
    data = bytearray(WHOLE)
    for place, byte in changes:
        data[place] = byte
    (folder / "model.safetensors").write_bytes(data[:keep])
    try:
        model = load_model(folder)
    except ModelError as error:
        told = str(error)
        assert str(folder) in told
    else:
        assert tiny.LAYERS == len(model.weights.layers)
