"""A Llama model in a GGUF file: its config, its tensors, the order of its rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import attrs
import torch
from torch import Tensor

from fairq import UsageError
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._dequantise import dequantise
from fairq_backends.llama._fields import Fields
from fairq_backends.llama._gguf import GgufFile
from fairq_backends.llama._rope import Rope

TENSORS: Final[Mapping[str, str]] = {
    "embedding": "token_embd.weight",
    "norm": "output_norm.weight",
    "head": "output.weight",
    "attention_norm": "blk.{}.attn_norm.weight",
    "q": "blk.{}.attn_q.weight",
    "k": "blk.{}.attn_k.weight",
    "v": "blk.{}.attn_v.weight",
    "output": "blk.{}.attn_output.weight",
    "mlp_norm": "blk.{}.ffn_norm.weight",
    "gate": "blk.{}.ffn_gate.weight",
    "up": "blk.{}.ffn_up.weight",
    "down": "blk.{}.ffn_down.weight",
}
ROPE_FACTORS: Final = "rope_freqs.weight"
"""How llama.cpp stores the scaling of Llama 3.1 and later."""

PREFIX: Final = "llama."
READ: Final = frozenset(
    PREFIX + key
    for key in (
        *("block_count", "context_length", "embedding_length", "feed_forward_length"),
        *("vocab_size", "attention.head_count", "attention.head_count_kv"),
        *("attention.key_length", "attention.value_length", "expert_count"),
        *("attention.layer_norm_rms_epsilon", "attention.sliding_window"),
        *("rope.dimension_count", "rope.freq_base", "rope.scale_linear"),
        *("rope.scaling.type", "rope.scaling.factor"),
    )
)
WITHOUT_EFFECT: Final = frozenset(
    PREFIX + key
    for key in (
        *("expert_used_count", "tensor_data_layout"),
        *("rope.scaling.original_context_length", "rope.scaling.finetuned"),
    )
)
"""Keys that change nothing once what they belong to is refused."""


@attrs.frozen(eq=False)
class GgufSource:
    """The tensors of a file, rows of queries and keys put back in order."""

    file: GgufFile
    """Where they are."""

    config: LlamaConfig
    """Says how many heads the rows belong to."""

    names: Mapping[str, str] = TENSORS
    """The file's name of each part."""

    extras: tuple[str, ...] = (ROPE_FACTORS,)
    """Read with the config."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of all tensors."""
        return {name: stored.shape for name, stored in self.file.tensors.items()}

    def read(self, part: str, name: str) -> Tensor:
        """One tensor, dequantised."""
        tensor = read_tensor(self.file, name)
        if part == "q":
            return _half_split(tensor, self.config.heads)
        if part == "k":
            return _half_split(tensor, self.config.kv_heads)
        return tensor


def read_tensor(file: GgufFile, name: str) -> Tensor:
    """One tensor as it is in the file, in fp32 or fp16."""
    stored = file.tensors[name]
    numbers = dequantise(stored.kind.name, file.raw(name))
    return torch.from_numpy(numbers).view(stored.shape)


def _half_split(rows: Tensor, heads: int) -> Tensor:
    """Undoes the order of rows that llama.cpp gives queries and keys.

    It rotates neighbours (2i, 2i + 1), and so its files have the rows of pair i next
    to each other in each head; here they are D/2 apart, as they were trained.
    """
    out, width = rows.shape
    pairs = rows.view(heads, out // heads // 2, 2, width)
    return pairs.transpose(1, 2).reshape(out, width)


def gguf_config(file: GgufFile) -> LlamaConfig:
    """The config in a file's metadata.

    Raises:
        ModelError: another architecture, or something that would have to be ignored.
    """
    fields = Fields(file.path, file.metadata)
    _refuse_what_is_unknown(fields)
    heads = fields.whole(PREFIX + "attention.head_count")
    hidden = fields.whole(PREFIX + "embedding_length")
    if heads < 1:
        fields.refuse(f"{PREFIX}attention.head_count is {heads}")
    head_dim = fields.whole(PREFIX + "attention.key_length", hidden // heads)
    _check_head_dim(fields, head_dim)
    eos = fields.ids("tokenizer.ggml.eos_token_id")
    turn = fields.ids("tokenizer.ggml.eot_token_id")
    bos = fields.ids("tokenizer.ggml.bos_token_id")
    try:
        return LlamaConfig(
            vocab_size=_vocabulary(fields, file),
            hidden_size=hidden,
            intermediate_size=fields.whole(PREFIX + "feed_forward_length"),
            layers=fields.whole(PREFIX + "block_count"),
            heads=heads,
            kv_heads=fields.whole(PREFIX + "attention.head_count_kv", heads),
            head_dim=head_dim,
            norm_eps=fields.number(PREFIX + "attention.layer_norm_rms_epsilon"),
            rope=_rope(fields, file),
            context_length=fields.whole(PREFIX + "context_length"),
            tied=TENSORS["head"] not in file.tensors,
            eos=tuple(dict.fromkeys((*eos, *turn))),
            bos=bos[0] if bos else None,
        )
    except UsageError as error:
        fields.refuse(str(error).rstrip("."))


def _refuse_what_is_unknown(fields: Fields) -> None:
    architecture = fields.text("general.architecture")
    if architecture != "llama":
        fields.refuse(f"architecture {architecture!r} is not run, only 'llama'")
    for key in fields.values:
        if key.startswith(PREFIX) and key not in READ | WITHOUT_EFFECT:
            fields.refuse(f"metadata key {key} is not known, and may change the model")
    if fields.whole("split.count", 0) > 1:
        fields.refuse("the model is split over several files; merge them first")
    for key in ("expert_count", "attention.sliding_window"):
        if fields.whole(PREFIX + key, 0) != 0:
            fields.refuse(f"a Llama model with {PREFIX}{key} is not run")


def _check_head_dim(fields: Fields, head_dim: int) -> None:
    for key in ("attention.value_length", "rope.dimension_count"):
        other = fields.whole(PREFIX + key, head_dim)
        if other != head_dim:
            fields.refuse(f"{PREFIX}{key} must be the head size {head_dim}, is {other}")


def _vocabulary(fields: Fields, file: GgufFile) -> int:
    """Older files have no key for it, but always the embedding."""
    stored = file.tensors.get(TENSORS["embedding"])
    rows = stored.shape[0] if stored is not None else None
    return fields.whole(PREFIX + "vocab_size", rows)


def _rope(fields: Fields, file: GgufFile) -> Rope:
    theta = fields.number(PREFIX + "rope.freq_base", 10_000.0)
    kind = fields.text(PREFIX + "rope.scaling.type", "none")
    old = fields.number(PREFIX + "rope.scale_linear", 1.0)
    factor = fields.number(PREFIX + "rope.scaling.factor", old)
    if kind not in ("none", "linear"):
        fields.refuse(f"rope type {kind!r} is not known; known are none and linear")
    scaled = kind == "linear" or (kind == "none" and factor == old != 1.0)
    if ROPE_FACTORS in file.tensors:
        if scaled:
            fields.refuse(f"{ROPE_FACTORS} together with linear rope is not run")
        factors = read_tensor(file, ROPE_FACTORS).flatten().tolist()
        return Rope(theta=theta, kind="factors", factors=tuple(factors))
    if scaled:
        return Rope(theta=theta, kind="linear", factor=factor)
    return Rope(theta=theta)
