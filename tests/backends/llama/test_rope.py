"""Angles of positions, against formulas and against transformers."""

import math

import attrs
import pytest
import torch

from fairq import UsageError
from fairq_backends.llama import LlamaConfig, Rope, rope_table

CONFIG = LlamaConfig(
    vocab_size=97,
    hidden_size=48,
    intermediate_size=80,
    layers=2,
    heads=6,
    kv_heads=2,
    head_dim=16,
)
ROPES = {
    "default": Rope(theta=5000.0),
    "linear": Rope(theta=5000.0, kind="linear", factor=4.0),
    "llama3": Rope(theta=500000.0, kind="llama3", factor=8.0, original_context=64),
}


def table(rope: Rope, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    return rope_table(attrs.evolve(CONFIG, rope=rope), length)


@pytest.mark.parametrize("name", ROPES)
def test_the_table_is_that_of_transformers_to_the_bit(name: str) -> None:
    from transformers import LlamaConfig as TheirConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    rope = ROPES[name]
    parameters = {"rope_type": name, "rope_theta": rope.theta}
    if name != "default":
        parameters["factor"] = rope.factor
    if name == "llama3":
        parameters |= {
            "low_freq_factor": rope.low_freq_factor,
            "high_freq_factor": rope.high_freq_factor,
            "original_max_position_embeddings": rope.original_context,
        }
    theirs = LlamaRotaryEmbedding(
        TheirConfig(
            hidden_size=48,
            num_attention_heads=6,
            head_dim=16,
            rope_parameters=parameters,
        )
    )
    positions = torch.arange(200)[None]
    cos, sin = theirs(torch.zeros(1), positions)
    ours = table(rope, 200)
    # Theirs has each angle twice, once for each half of a head.
    assert torch.equal(cos[0, :, :8], ours[0])
    assert torch.equal(sin[0, :, :8], ours[1])


def test_the_table_is_cosine_and_sine_of_position_times_frequency() -> None:
    cos, sin = table(Rope(theta=100.0), 9)
    assert (9, 8) == tuple(cos.shape) == tuple(sin.shape)
    assert torch.float32 == cos.dtype == sin.dtype
    for position in range(9):
        for pair in range(8):
            angle = position * 100.0 ** (-2 * pair / 16)
            assert math.cos(angle) == pytest.approx(
                cos[position, pair].item(), abs=1e-5
            )
            assert math.sin(angle) == pytest.approx(
                sin[position, pair].item(), abs=1e-5
            )


def test_llama3_leaves_fast_pairs_and_slows_slow_ones() -> None:
    plain = Rope(theta=500000.0).frequencies(16)
    scaled = ROPES["llama3"].frequencies(16)
    wavelength = 2 * math.pi / plain
    fast, slow = wavelength < 64 / 4, wavelength > 64 / 1
    between = ~fast & ~slow
    assert fast.any() and slow.any() and between.any()
    assert torch.equal(plain[fast], scaled[fast])
    assert torch.equal(plain[slow] / 8, scaled[slow])
    assert bool(((plain / 8 < scaled) & (scaled < plain))[between].all())


def test_factors_divide_each_frequency_by_its_own() -> None:
    factors = (1.0, 2.0, 4.0, 8.0, 1.0, 1.0, 1.0, 16.0)
    plain = Rope(theta=100.0).frequencies(16)
    rope = Rope(theta=100.0, kind="factors", factors=factors)
    assert torch.equal(plain / torch.tensor(factors), rope.frequencies(16))


def test_longer_tables_begin_like_shorter_ones() -> None:
    for short, long in zip(table(Rope(), 7), table(Rope(), 300), strict=True):
        assert torch.equal(short, long[:7])


def test_an_empty_table_is_allowed_and_a_negative_one_is_not() -> None:
    assert (0, 8) == tuple(table(Rope(), 0)[0].shape)
    with pytest.raises(UsageError, match="cannot have -1 positions"):
        table(Rope(), -1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "yarn"}, "rope type must be one of default, linear, llama3, factors"),
        ({"theta": 0}, "Rope.theta must be positive and finite, got 0"),
        ({"theta": math.inf}, "Rope.theta must be positive"),
        ({"theta": math.nan}, "Rope.theta must be positive"),
        ({"theta": True}, "Rope.theta must be positive"),
        ({"theta": "1"}, "Rope.theta must be positive"),
        ({"factor": -1.0}, "Rope.factor must be positive"),
        ({"factors": (1.0, math.nan)}, "factors of rope must be positive"),
    ],
    ids=str,
)
def test_numbers_that_make_no_angle_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Rope(**changes)  # type: ignore[arg-type]  # wrong on purpose


def test_factors_belong_to_their_kind_only() -> None:
    with pytest.raises(UsageError, match="Rope has 8 factors; head_dim 16 needs"):
        attrs.evolve(CONFIG, rope=Rope(factors=(1.0,) * 8))
