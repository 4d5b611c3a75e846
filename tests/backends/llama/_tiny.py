"""A tiny Llama at odd sizes, as files of both kinds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor

from tests.backends.llama._gguf_writer import F32, Stored, gguf

VOCABULARY, WIDTH, INNER, LAYERS = 259, 32, 40, 2
HEADS, KV_HEADS, HEAD_DIM = 6, 2, 8
CONTROL = ("<|end|>", "<|begin|>")
Weights = dict[str, Tensor]


def weights(seed: int = 0, *, tied: bool = True) -> Weights:
    """Under the names of Hugging Face; made by hand, shape by shape."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    found = {"model.embed_tokens.weight": normal(VOCABULARY, WIDTH)}
    for number in range(LAYERS):
        layer = f"model.layers.{number}."
        found[layer + "input_layernorm.weight"] = normal(WIDTH)
        found[layer + "self_attn.q_proj.weight"] = normal(HEADS * HEAD_DIM, WIDTH)
        found[layer + "self_attn.k_proj.weight"] = normal(KV_HEADS * HEAD_DIM, WIDTH)
        found[layer + "self_attn.v_proj.weight"] = normal(KV_HEADS * HEAD_DIM, WIDTH)
        found[layer + "self_attn.o_proj.weight"] = normal(WIDTH, HEADS * HEAD_DIM)
        found[layer + "post_attention_layernorm.weight"] = normal(WIDTH)
        found[layer + "mlp.gate_proj.weight"] = normal(INNER, WIDTH)
        found[layer + "mlp.up_proj.weight"] = normal(INNER, WIDTH)
        found[layer + "mlp.down_proj.weight"] = normal(WIDTH, INNER)
    found["model.norm.weight"] = normal(WIDTH)
    if not tied:
        found["lm_head.weight"] = normal(VOCABULARY, WIDTH)
    return found


def config_json(**changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000.0,
        "max_position_embeddings": 128,
        "tie_word_embeddings": True,
        "hidden_act": "silu",
        "bos_token_id": 257,
        "eos_token_id": 256,
    }
    return {key: it for key, it in {**plain, **changes}.items() if it != "absent"}


def folder(path: Path, tensors: Weights | None = None, **changes: object) -> Path:
    """A Hugging Face folder with one safetensors file."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config_json(**changes)))
    save_file(weights() if tensors is None else tensors, path / "model.safetensors")
    return path


# --- GGUF -----------------------------------------------------------------------------

GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.layers": "blk",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def gguf_name(name: str) -> str:
    for theirs, ours in GGUF_NAMES.items():
        name = name.replace(theirs, ours)
    return name


def permuted(rows: Tensor, heads: int) -> Tensor:
    """What llama.cpp's converter does to the rows of queries and keys."""
    out, width = rows.shape
    halves = rows.reshape(heads, 2, out // heads // 2, width)
    return halves.swapaxes(1, 2).reshape(out, width)


def in_file_order(name: str, tensor: Tensor) -> Tensor:
    if "q_proj" in name:
        return permuted(tensor, HEADS)
    return permuted(tensor, KV_HEADS) if "k_proj" in name else tensor


def as_f32(tensor: Tensor) -> Stored:
    data: bytes = tensor.numpy().astype("<f4").tobytes()
    return Stored(F32, tuple(tensor.shape), data)


def metadata(**changes: object) -> dict[str, object]:
    """Of the same model; a change names a key with ``__`` for each dot."""
    plain: dict[str, object] = {
        "general.architecture": "llama",
        "llama.block_count": LAYERS,
        "llama.context_length": 128,
        "llama.embedding_length": WIDTH,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.key_length": HEAD_DIM,
        "llama.attention.value_length": HEAD_DIM,
        "llama.rope.dimension_count": HEAD_DIM,
        "llama.rope.freq_base": 5000.0,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": VOCABULARY,
        **tokenizer_metadata(),
    }
    named = {key.replace("__", "."): it for key, it in changes.items()}
    return {key: it for key, it in {**plain, **named}.items() if it != "absent"}


def tokenizer_metadata() -> dict[str, object]:
    """Every byte is a token; one merge, two control tokens."""
    letters = sorted(ByteLevel.alphabet())
    tokens = [*letters, *CONTROL, "he"]
    assert len(tokens) == VOCABULARY
    kinds = [1] * len(letters) + [3] * len(CONTROL) + [1]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.eos_token_id": 256,
        "tokenizer.ggml.bos_token_id": 257,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


TEMPLATE = (
    "{% for m in messages %}{{ '<|begin|>' + m['role'] + ': ' + m['content'] + "
    "eos_token }}{% endfor %}{% if add_generation_prompt %}<|begin|>assistant: "
    "{% endif %}"
)


def tensors(given: Weights | None = None) -> dict[str, Stored]:
    found = weights() if given is None else given
    ordered = {name: in_file_order(name, it) for name, it in found.items()}
    return {gguf_name(name): as_f32(it) for name, it in ordered.items()}


def gguf_bytes(
    given: Mapping[str, Stored] | None = None, version: int = 3, **changes: object
) -> bytes:
    stored = tensors() if given is None else given
    return gguf(metadata(**changes), stored, version=version)


def gguf_file(path: Path, **changes: Any) -> Path:  # noqa: ANN401  # passed on
    path.write_bytes(gguf_bytes(**changes))
    return path
