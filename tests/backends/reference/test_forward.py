"""The model computes what ``transformers`` does, and nothing from the future."""

from typing import Any

import attrs
import pytest
import torch
from transformers import LlamaConfig as TheirConfig
from transformers import LlamaForCausalLM

from fairq_backends.llama import LlamaConfig, LlamaWeights, Model, Rope
from fairq_backends.reference import forward
from tests.backends.reference._models import ROPES, tiny_config, tiny_model

TEXT = torch.randint(0, 97, (150,), generator=torch.Generator().manual_seed(3))


def theirs(config: LlamaConfig) -> LlamaForCausalLM:
    """The same shape in ``transformers``, with random weights."""
    fields: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": config.context_length,
        "tie_word_embeddings": config.tied,
        "rope_parameters": rope_parameters(config.rope),
        "initializer_range": 0.3,
        "attn_implementation": "eager",
    }
    torch.manual_seed(11)
    model: LlamaForCausalLM = LlamaForCausalLM(TheirConfig(**fields))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name:
                weight.normal_(1.0, 0.2)
    return model


def rope_parameters(rope: Rope) -> dict[str, Any]:
    found: dict[str, Any] = {"rope_type": rope.kind, "rope_theta": rope.theta}
    if rope.kind != "default":
        found["factor"] = rope.factor
    if rope.kind == "llama3":
        found |= {
            "low_freq_factor": rope.low_freq_factor,
            "high_freq_factor": rope.high_freq_factor,
            "original_max_position_embeddings": rope.original_context,
        }
    return found


def our_weights(model: LlamaForCausalLM, template: Model) -> LlamaWeights:
    """Weights of ``transformers``, fused by hand."""
    named = {name: each.detach() for name, each in model.named_parameters()}

    def fused(layer: int, *parts: str) -> torch.Tensor:
        names = [f"model.layers.{layer}.{part}.weight" for part in parts]
        return torch.cat([named[name] for name in names])

    layers = tuple(
        attrs.evolve(
            each,
            attention_norm=fused(n, "input_layernorm"),
            qkv=fused(n, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            output=fused(n, "self_attn.o_proj"),
            mlp_norm=fused(n, "post_attention_layernorm"),
            gate_up=fused(n, "mlp.gate_proj", "mlp.up_proj"),
            down=fused(n, "mlp.down_proj"),
        )
        for n, each in enumerate(template.weights.layers)
    )
    embedding = named["model.embed_tokens.weight"]
    head = named.get("lm_head.weight", embedding)
    return LlamaWeights(
        embedding=embedding, layers=layers, norm=named["model.norm.weight"], head=head
    )


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("rope", ROPES.values(), ids=ROPES.keys())
@torch.inference_mode()
def test_logits_are_those_of_transformers(rope: Rope, tied: bool) -> None:  # noqa: FBT001  # pytest calls it by name
    config = tiny_config(rope=rope, tied=tied, norm_eps=1e-3)
    model = theirs(config)
    expected = model(TEXT[None]).logits[0]

    weights = our_weights(model, tiny_model(rope=rope, tied=tied))
    got = forward(weights, config, TEXT)

    assert expected.shape == got.shape
    assert 1e-4 > (expected - got).abs().max()
    assert 1 < expected.std()


@pytest.mark.parametrize(
    "sizes",
    [
        {"heads": 1, "kv_heads": 1, "head_dim": 2, "hidden_size": 3},
        {"heads": 5, "kv_heads": 5, "head_dim": 6, "hidden_size": 35},
        {"heads": 7, "kv_heads": 1, "head_dim": 10, "intermediate_size": 1},
    ],
    ids=["one head", "no groups", "one KV head"],
)
@torch.inference_mode()
def test_any_shape_gives_the_logits_of_transformers(sizes: dict[str, int]) -> None:
    config = tiny_config(**sizes)
    model = theirs(config)
    expected = model(TEXT[None]).logits[0]

    got = forward(our_weights(model, tiny_model(**sizes)), config, TEXT)

    assert 1e-4 > (expected - got).abs().max()


@torch.inference_mode()
def test_a_logit_does_not_see_what_comes_later() -> None:
    model = tiny_model()
    whole = forward(model.weights, model.config, TEXT)

    for length in (1, 2, 77):
        part = forward(model.weights, model.config, TEXT[:length])
        assert 1e-4 > (whole[:length] - part).abs().max()


def in_dtype(weights: LlamaWeights, dtype: torch.dtype) -> LlamaWeights:
    def cast(thing: Any) -> Any:  # noqa: ANN401  # weights of either kind
        return attrs.evolve(
            thing,
            **{
                name: each.to(dtype)
                for name, each in attrs.asdict(thing, recurse=False).items()
                if isinstance(each, torch.Tensor)
            },
        )

    found: LlamaWeights = cast(weights)
    return attrs.evolve(found, layers=tuple(map(cast, weights.layers)))


@torch.inference_mode()
def test_arithmetic_is_in_fp32_or_in_that_of_wider_weights() -> None:
    model = tiny_model()
    narrow = in_dtype(model.weights, torch.bfloat16)
    single = in_dtype(narrow, torch.float32)
    double = in_dtype(narrow, torch.float64)

    logits = forward(narrow, model.config, TEXT)
    exact = forward(double, model.config, TEXT)

    assert torch.float32 == logits.dtype
    assert torch.equal(forward(single, model.config, TEXT), logits)
    assert torch.float64 == exact.dtype
    assert 0 < (exact - logits).abs().max() < 1e-4
