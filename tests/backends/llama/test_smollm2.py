"""Real weights: SmolLM2-135M-Instruct, 4 bit, as it is published."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fairq_backends.catalogue import SMOLLM2
from fairq_backends.llama import LlamaConfig, Model, Rope, Tokenizer, rope_table

Golden = dict[str, Any]


@pytest.fixture
def tokenizer(smollm2: Model) -> Tokenizer:
    assert smollm2.tokenizer is not None
    return smollm2.tokenizer


def test_the_config_is_that_of_the_model(smollm2: Model) -> None:
    config = smollm2.config
    expected = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        layers=30,
        heads=9,
        kv_heads=3,
        head_dim=64,
        norm_eps=config.norm_eps,
        rope=Rope(theta=100_000.0),
        context_length=8192,
        tied=True,
        eos=(2,),
        bos=1,
    )
    assert expected == config
    assert 1e-5 == pytest.approx(config.norm_eps)
    assert 134_515_008 == config.parameters
    assert "SmolLM2-135M-Instruct.Q4_1" == smollm2.name


def test_the_file_is_the_published_one(smollm2_path: Path) -> None:
    assert smollm2_path == SMOLLM2.path()
    assert SMOLLM2.bytes == smollm2_path.stat().st_size


# --- the text -------------------------------------------------------------------------


def test_prompts_become_the_ids_that_llama_cpp_has(
    tokenizer: Tokenizer, golden: Golden
) -> None:
    for case in golden["prompts"]:
        assert case["prompt_ids"] == tokenizer.encode(case["prompt"]), case["name"]


def test_answers_become_their_text_at_once_and_in_pieces(
    tokenizer: Tokenizer, golden: Golden
) -> None:
    for case in golden["prompts"]:
        ids, text = case["generated_ids"], case["generated_text"]
        expected = text.removesuffix("<|im_end|>")
        stream = tokenizer.text_stream()
        assert expected == tokenizer.decode(ids), case["name"]
        assert expected == "".join(map(stream.push, ids)) + stream.end()


PROBES = [
    "def f(x):\n\treturn x**2  # ok\n",
    "1234567890 3.14 12,345",
    "a\r\nb\r\n\r\nc",
    "👩‍👩‍👧‍👦 naïve café",
    "漢字かな交じり文、한국어",
    "٣٤٥ ½ ² Ⅷ",
    "   leading and trailing   ",
    "don't WE'LL it's",
    "<|im_start|>user\nhi<|im_end|>\n",
    "",
    "\N{REPLACEMENT CHARACTER}\0\x7f",
]


@pytest.mark.parametrize("text", PROBES, ids=ascii)
def test_probes_come_back(tokenizer: Tokenizer, text: str) -> None:
    shown = text.replace("<|im_start|>", "").replace("<|im_end|>", "")
    assert shown == tokenizer.decode(tokenizer.encode(text))


@pytest.mark.parametrize("digits", ["12345", "٣٤٥"])
def test_every_digit_is_cut_alone(tokenizer: Tokenizer, digits: str) -> None:
    apart = [token for digit in digits for token in tokenizer.encode(digit)]
    assert apart == tokenizer.encode(digits)


def test_special_tokens_in_a_text_are_single_ids(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("<|im_start|>user\nhi<|im_end|>")
    assert (1, 2) == (ids[0], ids[-1])
    assert (49_152, (2,)) == (tokenizer.vocab_size, tokenizer.eos)
    assert 17 == len(tokenizer.specials)


def test_chat_is_the_prompt_of_the_golden_file(
    tokenizer: Tokenizer, golden: Golden
) -> None:
    (case,) = [it for it in golden["prompts"] if it["name"] == "chat_dogs"]
    question = case["prompt"].split("<|im_start|>user\n")[1].split("<|im_end|>")[0]
    assert case["prompt"] == tokenizer.chat([{"role": "user", "content": question}])


# --- the numbers ----------------------------------------------------------------------


def test_the_first_logits_are_those_of_the_golden_file(
    smollm2: Model, golden: Golden
) -> None:
    for case in golden["prompts"]:
        logits = forward(smollm2, torch.tensor(case["prompt_ids"]))
        for top in case["first_step_top5"]:
            expected = pytest.approx(top["logit"], abs=1e-3)
            assert expected == logits[top["id"]].item(), case["name"]
        assert case["first_step_top5"][0]["id"] == int(logits.argmax())


def forward(model: Model, ids: Tensor) -> Tensor:
    """Logits after the last token: the plainest way to use the weights."""
    config, weights = model.config, model.weights
    x = weights.embedding[ids]
    table = rope_table(config, len(ids))
    for layer in weights.layers:
        normed = norm(x, layer.attention_norm, config)
        x = x + attend(normed @ layer.qkv.T, table, config) @ layer.output.T
        gate, up = (norm(x, layer.mlp_norm, config) @ layer.gate_up.T).chunk(2, -1)
        x = x + (functional.silu(gate) * up) @ layer.down.T
    return norm(x[-1], weights.norm, config) @ weights.head.T


def norm(x: Tensor, weight: Tensor, config: LlamaConfig) -> Tensor:
    return functional.rms_norm(x, weight.shape, weight, config.norm_eps)


def attend(qkv: Tensor, table: tuple[Tensor, Tensor], config: LlamaConfig) -> Tensor:
    heads = qkv.view(len(qkv), -1, config.head_dim).transpose(0, 1)
    sizes = [config.heads, config.kv_heads, config.kv_heads]
    q, k, v = torch.split(heads, sizes)
    mixed = functional.scaled_dot_product_attention(
        turned(q, table)[None],
        turned(k, table)[None],
        v[None],
        is_causal=True,
        enable_gqa=True,
    )
    return mixed[0].transpose(0, 1).flatten(1)


def turned(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    cos, sin = table
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
