import pytest

from fairq import LinearCost, UsageError
from fairq.cost import SCALE, price


def test_an_output_token_costs_two_prompt_tokens_by_default() -> None:
    assert LinearCost().prompt == 1.0
    assert LinearCost().output == 2.0


def test_service_is_a_weighted_count() -> None:
    assert LinearCost(prompt=0.5, output=3).service(10, 4) == 17.0


def test_a_price_is_an_integer_multiple_of_the_scale_for_whole_costs() -> None:
    assert price(2.0, 1.0) == 2 * SCALE
    assert isinstance(price(0.3, 0.7), int)


def test_twice_the_weight_is_half_the_price() -> None:
    assert price(1.0, 4.0) * 2 == price(1.0, 2.0)


@pytest.mark.parametrize("weight", [1e-3, 0.3, 3.0, 7.0, 1000.0])
def test_rounding_is_below_a_millionth(weight: float) -> None:
    exact = SCALE * 2.0 / weight
    assert abs(price(2.0, weight) - exact) <= 0.5
    assert abs(price(2.0, weight) / exact - 1) < 1e-6


def test_free_prompts_are_allowed() -> None:
    assert LinearCost(prompt=0).service(1000, 1) == 2.0


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), None, "1", True])
def test_a_price_that_is_no_finite_number_is_refused(bad: object) -> None:
    with pytest.raises(UsageError, match=r"LinearCost\.prompt"):
        LinearCost(prompt=bad)  # type: ignore[arg-type]  # wrong types are the test
    with pytest.raises(UsageError, match=r"LinearCost\.output"):
        LinearCost(output=bad)  # type: ignore[arg-type]  # wrong types are the test


def test_free_outputs_are_refused_because_nothing_would_bound_a_tenant() -> None:
    with pytest.raises(UsageError, match=r"LinearCost\.output .* > 0"):
        LinearCost(output=0)


def test_what_is_found_in_the_cache_costs_nothing_by_default() -> None:
    assert LinearCost().cached == 0.0


def test_finding_a_position_may_cost_as_much_as_computing_it_and_no_more() -> None:
    assert LinearCost(prompt=0.5, cached=0.5).cached == 0.5
    with pytest.raises(UsageError, match=r"LinearCost\.cached .* prompt=0\.5"):
        LinearCost(prompt=0.5, cached=0.6)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), None, "0", True])
def test_a_price_of_the_cache_that_is_no_price_is_refused(bad: object) -> None:
    with pytest.raises(UsageError, match=r"LinearCost\.cached must be a finite"):
        LinearCost(cached=bad)  # type: ignore[arg-type]  # wrong types are the test
