"""The shape of a model, models of random weights, and memory that is not there."""

import math
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from fairq import UsageError
from fairq_backends.llama import LlamaConfig, ModelError, load_model, random_model
from fairq_backends.llama import _assemble as assembling
from tests.backends.llama import _tiny as tiny

CONFIG = LlamaConfig(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=80,
    layers=3,
    heads=6,
    kv_heads=2,
    head_dim=16,
    tied=False,
)


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_the_numbers_in_the_weights(tied: bool) -> None:  # noqa: FBT001  # parametrized
    config = attrs.evolve(CONFIG, tied=tied)
    weights = random_model(config).weights
    tensors = [weights.embedding, weights.norm]
    for layer in weights.layers:
        tensors += attrs.astuple(layer, recurse=False)
    tensors += [] if tied else [weights.head]
    assert sum(it.numel() for it in tensors) == config.parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be a whole number from 1 to 2147483647, got 0"),
        ({"heads": True}, "heads must be a whole number"),
        ({"vocab_size": 2**31}, "vocab_size must be a whole number"),
        ({"hidden_size": 4.0}, "hidden_size must be a whole number"),
        ({"kv_heads": 4}, "6 heads cannot share 4 KV heads evenly"),
        ({"head_dim": 15}, "head_dim must be even"),
        ({"norm_eps": 0.0}, "norm_eps must be positive and finite"),
        ({"norm_eps": math.nan}, "norm_eps must be positive and finite"),
        ({"eos": (96, 97)}, "Token id 97 .* outside the vocabulary of 97"),
        ({"bos": -1}, "Token id -1"),
    ],
    ids=str,
)
def test_sizes_that_do_not_fit_together_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        attrs.evolve(CONFIG, **changes)


# --- random models --------------------------------------------------------------------


def test_a_random_model_has_the_shapes_of_its_config() -> None:
    model = random_model(CONFIG)
    weights = model.weights
    assert (97, 48) == tuple(weights.embedding.shape) == tuple(weights.head.shape)
    assert 3 == len(weights.layers)
    for layer in weights.layers:
        assert (160, 48) == tuple(layer.qkv.shape)
        assert (48, 96) == tuple(layer.output.shape)
        assert (160, 48) == tuple(layer.gate_up.shape)
        assert (48, 80) == tuple(layer.down.shape)
        assert (48,) == tuple(layer.mlp_norm.shape) == tuple(layer.attention_norm.shape)
    assert (None, "random") == (model.tokenizer, model.name)


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    first, again = random_model(CONFIG, seed=4), random_model(CONFIG, seed=4)
    other = random_model(CONFIG, seed=5)
    down = [it.weights.layers[2].down for it in (first, again, other)]
    assert torch.equal(down[0], down[1])
    assert not torch.equal(down[0], down[2])


def test_layers_and_tables_of_a_random_model_all_differ() -> None:
    weights = random_model(CONFIG).weights
    assert not torch.equal(weights.layers[0].qkv, weights.layers[1].qkv)
    assert not torch.equal(weights.embedding, weights.head)
    assert not torch.equal(weights.norm, torch.ones(48))


def test_scale_is_the_deviation_of_matrices() -> None:
    weights = random_model(CONFIG, scale=0.05).weights
    assert 0.05 == pytest.approx(weights.embedding.std().item(), rel=0.05)
    assert 1.0 == pytest.approx(weights.norm.mean().item(), abs=0.1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_random_weights_have_the_dtype_that_is_asked_for(dtype: torch.dtype) -> None:
    config = attrs.evolve(CONFIG, tied=True)
    weights = random_model(config, dtype=dtype).weights
    assert dtype == weights.embedding.dtype == weights.layers[0].qkv.dtype
    assert weights.head is weights.embedding


# --- devices ------------------------------------------------------------------------


def test_a_device_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no device 'gpu'; try 'cpu' or"):
        random_model(CONFIG, device="gpu")
    with pytest.raises(UsageError, match="There is no device 'gpu'"):
        load_model(tiny.gguf_file(tmp_path / "a.gguf"), device="gpu")


def test_a_gpu_that_torch_does_not_see_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="torch sees no GPU, so there is no device"):
        random_model(CONFIG, device=torch.device("cuda", 0))


# --- memory ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2**24, 2**31 - 2], ids=["petabyte", "overflow"])
def test_a_random_model_too_large_for_memory_says_how_large_it_is(size: int) -> None:
    config = attrs.evolve(CONFIG, vocab_size=size, hidden_size=size)
    with pytest.raises(ModelError, match="Not enough memory on cpu for random") as it:
        random_model(config, dtype=torch.bfloat16)
    assert f"take {2 * config.parameters:,} bytes as bfloat16" in str(it.value)


def without_memory(*_: object) -> None:
    msg = "CUDA out of memory. Tried to allocate 4.00 GiB."
    raise torch.OutOfMemoryError(msg)


def test_a_model_that_does_not_fit_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembling._Builder, "layer", without_memory)
    path = tiny.gguf_file(tmp_path / "large.gguf")
    with pytest.raises(
        ModelError, match=r"for large: its weights take [\d,]+ bytes as"
    ):
        load_model(path)


def test_other_faults_of_torch_are_not_called_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        msg = "a fault of another kind"
        raise RuntimeError(msg)

    monkeypatch.setattr(assembling._Builder, "layer", broken)
    with pytest.raises(RuntimeError, match="a fault of another kind"):
        load_model(tiny.gguf_file(tmp_path / "a.gguf"))
