"""A row's token is its own affair, and as likely as it should be."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fairq import BackendError, RequestId, StepId
from fairq_backends.sampling import (
    NO_TOKEN,
    SamplingParams,
    SamplingTable,
    check_drawn,
    draw,
)

VOCABULARY = 211


def tabled(*params: SamplingParams) -> SamplingTable:
    table = SamplingTable(len(params))
    for slot, each in enumerate(params):
        table.set(slot, each, prompt_length=1)
    return table


def logits_of(rows: int, width: int = VOCABULARY, seed: int = 0) -> Tensor:
    made = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=made) * 3


def drawn(params: SamplingParams, logits: Tensor, positions: Tensor) -> Tensor:
    """Every row for the one slot of a table."""
    return draw(logits, tabled(params), torch.zeros_like(positions), positions)


def frequencies(params: SamplingParams, logits: Tensor, draws: int) -> Tensor:
    tokens = drawn(params, logits.repeat(draws, 1), torch.arange(draws))
    return torch.bincount(tokens, minlength=logits.shape[-1])


def assert_fits(counts: Tensor, probabilities: Tensor) -> None:
    """Chi-square, at most four standard deviations off (Wilson and Hilferty)."""
    assert 0 == counts[probabilities == 0].sum()
    possible = probabilities > 0
    expected = probabilities[possible].double() * counts.sum()
    assert 5 <= expected.min()
    degrees = int(possible.sum()) - 1
    value = float(((counts[possible] - expected) ** 2 / expected).sum())
    spread = 2 / (9 * degrees)
    assert 4 > abs((math.cbrt(value / degrees) - 1 + spread) / math.sqrt(spread))


# --- greedy ---------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1, 2, 33, 1000, 49152])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tie_goes_to_the_lowest_id(width: int, dtype: torch.dtype) -> None:
    places = torch.arange(0, width, max(1, width // 61))
    ramp = torch.arange(width)[None, :] >= places[:, None]

    tokens = drawn(SamplingParams(), ramp.to(dtype), torch.arange(len(places)))

    assert places.tolist() == tokens.tolist()


def test_a_tie_of_two_far_apart_goes_to_the_lowest_id() -> None:
    logits = torch.zeros(200, 4099)
    first = torch.arange(200) * 17
    logits[torch.arange(200), first] = 1.0
    logits[:, 4098] = 1.0
    logits[torch.arange(200), first + 7] = 1.0

    tokens = drawn(SamplingParams(), logits, torch.arange(200))

    assert first.tolist() == tokens.tolist()


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(top_k=3, top_p=0.1, seed=5),
        SamplingParams(temperature=1.0, top_k=1),
        SamplingParams(temperature=1.0, top_p=0.0),
        SamplingParams(temperature=1e-300),
        SamplingParams(temperature=1e-45),
        SamplingParams(temperature=1e-30),
    ],
    ids=["zero", "top_k", "top_p", "underflow", "denormal", "tiny"],
)
def test_several_ways_to_say_greedy_mean_the_same(params: SamplingParams) -> None:
    logits = logits_of(50) * 1e10

    assert torch.equal(logits.argmax(dim=1), drawn(params, logits, torch.arange(50)))


def test_the_fast_path_gives_what_the_slow_one_does() -> None:
    logits, slots = logits_of(40), torch.arange(40) % 3
    table = tabled(*[SamplingParams()] * 3, SamplingParams(temperature=1))
    slow = draw(logits, table, slots, slots)
    table.clear(3)

    assert table.all_greedy
    assert torch.equal(slow, draw(logits, table, slots, slots))


# --- rows do not meet -----------------------------------------------------------------

PARAMS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.01, 0.7, 1.0, 5.0, 1e300]),
    top_k=st.sampled_from([0, 0, 1, 5, 50, 10**6]),
    top_p=st.sampled_from([1.0, 0.0, 0.5, 0.95, 0.999]),
    seed=st.integers(0, 2**63 - 1),
)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_a_token_does_not_depend_on_the_batch(data: st.DataObject) -> None:
    params = data.draw(st.lists(PARAMS, min_size=1, max_size=6))
    width = data.draw(st.sampled_from([1, 7, VOCABULARY, 1500]))
    positions = torch.tensor([data.draw(st.integers(0, 2**31 - 1)) for _ in params])
    logits = logits_of(len(params), width, data.draw(st.integers(0, 99)))
    if data.draw(st.booleans()):
        logits = logits.round()  # many ties
    slots = torch.arange(len(params))
    table = tabled(*params)
    together = draw(logits, table, slots, positions)
    chosen = torch.tensor(
        data.draw(st.lists(st.integers(0, len(params) - 1), min_size=1, max_size=9))
    )

    again = draw(logits[chosen], table, slots[chosen], positions[chosen])
    alone = [
        int(drawn(each, logits[n : n + 1], positions[n : n + 1]))
        for n, each in enumerate(params)
    ]

    assert together[chosen].tolist() == again.tolist()
    assert together.tolist() == alone
    assert all(0 <= token < width for token in alone)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_row_without_a_largest_logit_has_no_token_and_harms_no_other(
    bad: float,
) -> None:
    logits = logits_of(6)
    slots = torch.arange(6)
    table = tabled(
        *[SamplingParams()] * 2,
        *[SamplingParams(temperature=1)] * 2,
        *[SamplingParams(temperature=1, top_k=9, top_p=0.9)] * 2,
    )
    sound = draw(logits, table, slots, slots)
    logits[::2, 77] = bad

    tokens = draw(logits, table, slots, slots)

    assert [NO_TOKEN] * 3 == tokens[::2].tolist()
    assert sound[1::2].tolist() == tokens[1::2].tolist()


def test_a_row_of_nothing_but_ruled_out_tokens_has_no_token() -> None:
    logits = torch.full((2, 9), -math.inf)
    logits[1, 4] = -1e38

    for params in (SamplingParams(), SamplingParams(temperature=1, top_k=3)):
        tokens = drawn(params, logits, torch.arange(2))
        assert [NO_TOKEN, 4] == tokens.tolist()


def test_a_missing_token_fails_the_step_by_the_name_of_the_request() -> None:
    ids = [RequestId(3), RequestId(8)]
    check_drawn([5, 0], ids)

    with pytest.raises(BackendError) as failed:
        check_drawn([5, NO_TOKEN], ids, backend="reference", step_id=StepId(2))

    assert (
        "Request 8: the largest logit must be a finite number; it is NaN or infinite. "
        "Use a wider dtype, or check the weights of the model."
    ) == str(failed.value)
    assert ("reference", 2) == (failed.value.backend, failed.value.step_id)


def test_seed_and_position_decide() -> None:
    flat = torch.zeros(1, 10_000)
    tokens = {
        (seed, position): int(
            drawn(
                SamplingParams(temperature=1, seed=seed), flat, torch.tensor([position])
            )
        )
        for seed in (0, 1, 2**32, 2**62)
        for position in (0, 1, 500)
    }

    assert 11 <= len({*tokens.values()})


# --- likelihoods ----------------------------------------------------------------------

LOGITS = torch.tensor([[2.0, 0.5, -1.0, 2.0, -math.inf, 1.0, 0.0, 1.5]])
DRAWS = 20_000


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1, 2**50])
def test_tokens_are_as_likely_as_their_softmax(temperature: float, seed: int) -> None:
    params = SamplingParams(temperature=temperature, seed=seed)

    counts = frequencies(params, LOGITS, DRAWS)

    assert_fits(counts, torch.softmax(LOGITS[0].double() / temperature, dim=0))


def test_likelihoods_hold_over_seeds_too() -> None:
    table = tabled(*(SamplingParams(temperature=1, seed=n) for n in range(4000)))
    slots = torch.arange(4000)

    tokens = draw(LOGITS.repeat(4000, 1), table, slots, torch.full((4000,), 12))

    counts = torch.bincount(tokens, minlength=8)
    assert_fits(counts, torch.softmax(LOGITS[0].double(), dim=0))


def test_likelihoods_hold_over_a_large_vocabulary() -> None:
    row = logits_of(1, 50_000)
    params = SamplingParams(temperature=1.0, seed=3)

    tokens = torch.cat(
        [
            drawn(params, row.repeat(100, 1), torch.arange(start, start + 100))
            for start in range(0, 2000, 100)
        ]
    )

    # Ten groups of tokens, of about equal mass when taken by likelihood.
    mass, order = torch.softmax(row[0].double(), dim=0).sort(descending=True)
    group = torch.empty(50_000, dtype=torch.int64)
    group[order] = (mass.cumsum(0) * 10).long().clamp(max=9)
    expected = torch.zeros(10, dtype=torch.float64).index_add(0, group[order], mass)
    assert_fits(torch.bincount(group[tokens], minlength=10), expected)


@pytest.mark.parametrize(
    ("params", "allowed"),
    [
        (SamplingParams(temperature=1, top_k=3), [0, 3, 7]),
        (SamplingParams(temperature=1, top_p=0.75), [0, 3, 7]),
        (SamplingParams(temperature=1, top_k=4, top_p=0.6), [0, 3]),
        (SamplingParams(temperature=2, top_k=1000), [0, 1, 2, 3, 5, 6, 7]),
    ],
    ids=["top_k", "top_p", "both", "neither"],
)
def test_filters_leave_the_likelihoods_of_the_rest_in_proportion(
    params: SamplingParams, allowed: list[int]
) -> None:
    counts = frequencies(params, LOGITS, DRAWS)

    weights = torch.zeros(8, dtype=torch.float64)
    weights[allowed] = torch.exp(LOGITS[0, allowed].double() / params.temperature)
    assert_fits(counts, weights / weights.sum())
