"""transformers' Llama with our weights, and its continuous batching."""

from typing import Any

import torch
import transformers
from torch import Tensor

from fairq_backends.llama import Model

__all__ = ["generated", "peer_of"]


def peer_of(model: Model, device: torch.device) -> Any:  # noqa: ANN401  # hardly typed
    """The same model there; it gets a copy of the weights."""
    config, dtype = model.config, model.weights.embedding.dtype
    theirs = transformers.LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.context_length,
        rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.theta},
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
    )
    with torch.device(device):
        made: Any = transformers.LlamaForCausalLM(theirs)
    made = made.to(dtype).eval()
    for name, tensor in _named(model).items():
        made.get_parameter(name).copy_(tensor)
    return made


def _named(model: Model) -> dict[str, Tensor]:
    weights = model.weights
    named = {
        "model.embed_tokens.weight": weights.embedding,
        "model.norm.weight": weights.norm,
        "lm_head.weight": weights.head,
    }
    for index in range(model.config.layers):
        named |= _layer(model, index)
    return named


def _layer(model: Model, index: int) -> dict[str, Tensor]:
    config, layer = model.config, model.weights.layers[index]
    own, shared = (each * config.head_dim for each in (config.heads, config.kv_heads))
    q, k, v = torch.split(layer.qkv, [own, shared, shared])
    gate, up = layer.gate_up.chunk(2)
    parts = {
        "self_attn.q_proj": q,
        "self_attn.k_proj": k,
        "self_attn.v_proj": v,
        "self_attn.o_proj": layer.output,
        "mlp.gate_proj": gate,
        "mlp.up_proj": up,
        "mlp.down_proj": layer.down,
        "input_layernorm": layer.attention_norm,
        "post_attention_layernorm": layer.mlp_norm,
    }
    return {f"model.layers.{index}.{k}.weight": v for k, v in parts.items()}


def generated(
    peer: Any,  # noqa: ANN401  # hardly typed
    texts: list[list[int]],
    output: int,
    *,
    small: bool,
) -> tuple[float, list[list[int]]]:
    """One round: seconds from the first request to the last token, and the tokens.

    Starting and stopping it is not counted.

    Args:
        peer: The model.
        texts: All there at once.
        output: Tokens of each.
        small: Whether a cache of a few blocks is to do; otherwise it chooses.

    Raises:
        RuntimeError: it did not answer everybody.
    """
    config: Any = transformers.GenerationConfig
    plain = config(
        max_new_tokens=output, do_sample=False, eos_token_id=-1, pad_token_id=0
    )
    options: dict[str, Any] = {}
    if small:
        sized = transformers.ContinuousBatchingConfig(
            num_blocks=16, max_batch_tokens=64
        )
        options["continuous_batching_config"] = sized
    results = peer.generate_batch(
        texts, generation_config=plain, persistent_manager=True, **options
    )
    answers = list(results.values())
    tokens = [list(each.generated_tokens) for each in answers]
    if [output] * len(texts) != [len(each) for each in tokens]:
        failed = [str(each.error) for each in answers if each.error]
        msg = f"{len(answers)} of {len(texts)} answered; errors: {failed[:1]}"
        raise RuntimeError(msg)
    begun = min(each.created_time for each in answers)
    return max(each.lifespan[1] for each in answers) - begun, tokens
