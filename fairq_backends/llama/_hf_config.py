"""The config of a Hugging Face folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fairq import UsageError
from fairq_backends.llama._config import LlamaConfig
from fairq_backends.llama._fields import Fields
from fairq_backends.llama._json import read_json, read_json_if_there
from fairq_backends.llama._rope import Rope

ARCHITECTURE: Final = "LlamaForCausalLM"
ROPE_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "default": frozenset(),
    "linear": frozenset({"factor"}),
    "llama3": frozenset({"factor", "low_freq_factor", "high_freq_factor"}),
}
ALWAYS: Final = frozenset(
    {"rope_type", "type", "rope_theta", "original_max_position_embeddings"}
)


def hf_config(folder: Path) -> LlamaConfig:
    """The config in ``config.json``; ends of text from ``generation_config.json``.

    Raises:
        ModelError: another architecture, or something that would have to be ignored.
    """
    fields = read_json(folder / "config.json")
    _refuse_what_is_unknown(fields)
    heads = fields.whole("num_attention_heads")
    hidden = fields.whole("hidden_size")
    if heads < 1:
        fields.refuse(f"num_attention_heads is {heads}")
    bos = fields.ids("bos_token_id")
    try:
        return LlamaConfig(
            vocab_size=fields.whole("vocab_size"),
            hidden_size=hidden,
            intermediate_size=fields.whole("intermediate_size"),
            layers=fields.whole("num_hidden_layers"),
            heads=heads,
            kv_heads=fields.whole("num_key_value_heads", heads),
            head_dim=fields.whole("head_dim", hidden // heads),
            norm_eps=fields.number("rms_norm_eps", 1e-6),
            rope=_rope(fields),
            context_length=fields.whole("max_position_embeddings", 2048),
            tied=fields.flag("tie_word_embeddings", default=False),
            eos=_ends(folder, fields),
            bos=bos[0] if bos else None,
        )
    except UsageError as error:
        fields.refuse(str(error).rstrip("."))


def _ends(folder: Path, fields: Fields) -> tuple[int, ...]:
    generation = read_json_if_there(folder / "generation_config.json")
    found = generation.ids("eos_token_id") or fields.ids("eos_token_id")
    return tuple(dict.fromkeys(found))


def _refuse_what_is_unknown(fields: Fields) -> None:
    architectures = fields.texts("architectures")
    if architectures != [ARCHITECTURE]:
        given = ", ".join(architectures) or "none"
        fields.refuse(f"architecture {given} is not run, only {ARCHITECTURE}")
    activation = fields.text("hidden_act", "silu")
    if activation != "silu":
        fields.refuse(f"hidden_act {activation!r} is not run, only 'silu'")
    for key in ("attention_bias", "mlp_bias"):
        if fields.flag(key, default=False):
            fields.refuse(f"a Llama model with {key} is not run")
    if fields.values.get("quantization_config") is not None:
        fields.refuse("quantised safetensors are not read; use GGUF or plain weights")
    if fields.number("partial_rotary_factor", 1.0) != 1:
        fields.refuse("a partial_rotary_factor other than 1 is not run")


def _rope(fields: Fields) -> Rope:
    """From ``rope_parameters`` (transformers 5) or from the two older keys."""
    plain = fields.number("rope_theta", 10_000.0)
    inner = fields.inside("rope_parameters") or fields.inside("rope_scaling")
    if inner is None:
        return Rope(theta=plain)
    kind = inner.text("rope_type", inner.text("type", "default"))
    theta = inner.number("rope_theta", plain)
    if kind not in ROPE_KEYS:
        known = ", ".join(ROPE_KEYS)
        fields.refuse(f"rope type {kind!r} is not known; known are {known}")
    for key, value in inner.values.items():
        if key == "partial_rotary_factor" and value == 1:
            continue
        if key not in ROPE_KEYS[kind] | ALWAYS and value is not None:
            fields.refuse(f"{key} is not known for rope type {kind!r}")
    return _scaled(kind, theta, inner)


def _scaled(kind: str, theta: float, inner: Fields) -> Rope:
    if kind == "default":
        return Rope(theta=theta)
    factor = inner.number("factor")
    if kind == "linear":
        return Rope(theta=theta, kind=kind, factor=factor)
    return Rope(
        theta=theta,
        kind=kind,
        factor=factor,
        low_freq_factor=inner.number("low_freq_factor"),
        high_freq_factor=inner.number("high_freq_factor"),
        original_context=inner.whole("original_max_position_embeddings"),
    )
