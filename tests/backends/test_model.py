"""How long a step takes: arithmetic checked by hand."""

import attrs
import pytest

from fairq import UsageError
from fairq_backends.simulated import (
    SimulatedBackend,
    StepLoad,
    StepTimeModel,
    load_presets,
)
from tests.backends._plans import chunk, enter, plan

IDLE = StepLoad(
    tokens=0, sampled=0, decode_context=0, prefill_pairs=0.0, prefills=False
)


def model(name: str) -> StepTimeModel:
    return load_presets()[name].model


def test_a_decode_step_of_the_h100_takes_what_a_hand_computes() -> None:
    # 64 decodes, 32,000 positions of context. b*N + f = 1.0272462427 < a.
    # 6.9038091559 + 0.000042041855038597724 * 32000 (= 1.3453393612)
    #   + 0.009287306185568991 * 64 (= 0.5943875959) + 1.0 = 9.8435361130
    load = attrs.evolve(IDLE, tokens=64, sampled=64, decode_context=32_000)
    assert pytest.approx(9.8435361130, abs=1e-9) == model(
        "h100-llama3-8b"
    ).milliseconds(load)


def test_a_mixed_step_of_the_rtx_takes_what_a_hand_computes() -> None:
    # 10 decodes with context 5,000; one sampling chunk of 1,000 from 2,000.
    # Dense layers, b*N + f: 0.03294248594538958 * 1010 + 8.316984291140503, which is
    # 41.5888950960; context in a mixed step, 0.00014803566586519903 * 5000, which is
    # 0.7401783293; pairs, 2.3984650652906287e-06 * 1000 * 2500, which is 5.9961626632;
    # sampling, 0.018152683874521597 * 11, which is 0.1996795226; and 1.6 of overhead.
    load = StepLoad(
        tokens=1010,
        sampled=11,
        decode_context=5000,
        prefill_pairs=2_500_000.0,
        prefills=True,
    )
    assert pytest.approx(50.1249156111, abs=1e-9) == model(
        "rtxpro6000-llama3.1-8b"
    ).milliseconds(load)


def test_where_mixed_steps_were_not_measured_their_context_costs_twice() -> None:
    for name in ("a100-llama3-8b", "h100-llama3-8b", "h200-llama3-8b"):
        fit = model(name)
        assert 2 * fit.c_ms_per_ctx_token == fit.c_mixed_ms_per_ctx_token


def test_a_step_that_computes_nothing_takes_only_the_overhead() -> None:
    assert model("h200-llama3-8b").milliseconds(IDLE) == 1.0


def test_a_step_reports_the_time_of_its_model() -> None:
    # The first chunk of a prompt: 100 positions from 0, one token sampled.
    # The least time, 6.903809155868691, is above b*N + f, 1.8198993566; with pairs,
    # 9.060050424435322e-07 * 5000, one sampled, 0.009287306185568991, and 1.0 of
    # overhead this makes 7.9176264873 ms.
    backend = SimulatedBackend()
    made = plan(0, enter=[enter(0, range(100), range(7))], chunks=[chunk(0, 0, 100)])
    assert backend.step(made).elapsed_ns == 7_917_626


def test_presets_are_listed_by_name() -> None:
    names = (
        "a100-llama3-8b",
        "h100-llama3-8b",
        "h200-llama3-8b",
        "rtxpro6000-llama3.1-8b",
    )
    assert names == tuple(load_presets())
    assert names == SimulatedBackend.presets()


def test_a_preset_tells_source_region_and_error() -> None:
    preset = load_presets()["rtxpro6000-llama3.1-8b"]
    assert preset.source == "LLMServingSim (MIT)"
    assert preset.region == "batch tokens<=2304, resident context<=560000"
    assert preset.points == 11_239
    assert pytest.approx(0.0396, abs=1e-4) == preset.error_median
    assert pytest.approx(0.1089, abs=1e-4) == preset.error_p90
    assert load_presets()["h100-llama3-8b"].region == "not stated"


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        # (0.9 * memory - 18 GB) / 131,072 bytes per token
        ("a100-llama3-8b", 411_987),
        ("h100-llama3-8b", 411_987),
        ("h200-llama3-8b", 830_841),
        ("rtxpro6000-llama3.1-8b", 521_850),
    ],
)
def test_the_kv_pool_is_what_the_memory_has_room_for(name: str, tokens: int) -> None:
    assert tokens == load_presets()[name].kv_tokens
    assert tokens // 16 == SimulatedBackend(gpu=name).capacity.blocks


def test_an_unknown_gpu_lists_the_known_and_the_closest() -> None:
    with pytest.raises(UsageError, match=r"a100-llama3-8b, .*'h100-llama3-8b'\?"):
        SimulatedBackend(gpu="h100-llama-8b")


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(UsageError, match=r"got 'zzz'\.$"):
        SimulatedBackend(gpu="zzz")
