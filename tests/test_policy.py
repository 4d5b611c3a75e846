import math
import pickle

import attrs
import pytest

from fairq import (
    Admission,
    Fcfs,
    LinearCost,
    Order,
    Policy,
    PrefixCache,
    UsageError,
    Vtc,
)
from fairq.disciplines import TenantView


def test_the_defaults_are_fair_optimistic_and_bounded() -> None:
    policy = Policy()
    assert Vtc() == policy.discipline
    assert Admission.OPTIMISTIC is policy.admission
    assert policy.max_waiting == 100_000
    assert policy.max_waiting_per_tenant == 10_000
    assert policy.max_failures == 3
    assert policy.token_budget is None
    assert policy.max_sequences is None
    assert policy.order is Order.FIFO
    assert policy.patience == 64
    assert PrefixCache() == policy.prefix_cache
    assert policy.commitment is None


def test_a_tenant_that_is_not_named_has_weight_one() -> None:
    policy = Policy(weights={"a": 4})
    assert policy.weight("a") == 4
    assert policy.weight("stranger") == 1.0


def test_weights_of_tenants_that_never_come_are_allowed() -> None:
    assert Policy(weights={"nobody": 2.5}).weight("nobody") == 2.5


def test_weights_are_copied_and_cannot_be_changed() -> None:
    weights = {"a": 1.0}
    policy = Policy(weights=weights)
    weights["a"] = 9.0
    assert policy.weight("a") == 1.0
    with pytest.raises(TypeError):
        policy.weights["a"] = 2.0  # type: ignore[index]  # that it is refused is the test


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf, None, "1", True])
def test_a_weight_that_is_not_positive_and_finite_is_refused(weight: object) -> None:
    with pytest.raises(UsageError, match=r"Policy\.weights must be finite and > 0"):
        Policy(weights={"a": weight})  # type: ignore[dict-item]  # wrong types are the test


@pytest.mark.parametrize("name", ["", 7, None])
def test_a_weight_needs_the_name_of_a_tenant(name: object) -> None:
    with pytest.raises(UsageError, match="keyed by tenant names"):
        Policy(weights={name: 1.0})  # type: ignore[dict-item]  # wrong types are the test


def test_weights_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(UsageError, match=r"Policy\.weights must be a Mapping"):
        Policy(weights=[("a", 1.0)])  # type: ignore[arg-type]  # wrong types are the test


def test_a_weight_too_large_to_be_charged_exactly_is_refused() -> None:
    assert Policy(weights={"a": 4_000_000}).weight("a") == 4_000_000
    with pytest.raises(UsageError, match="such that one output token"):
        Policy(weights={"a": 9_000_000})


@pytest.mark.parametrize("weight", [1e-305, 10**400, 1e300])
def test_a_weight_beyond_all_reason_is_refused(weight: float) -> None:
    with pytest.raises(UsageError, match=r"Policy\.weights must be"):
        Policy(weights={"a": weight})


def test_a_prompt_price_that_would_be_rounded_away_is_refused() -> None:
    free = LinearCost(prompt=0)
    assert Policy(cost=free, weights={"a": 1e6}).cost is free
    with pytest.raises(UsageError, match="such that one prompt token"):
        Policy(cost=LinearCost(prompt=1e-4), weights={"a": 1e6})


@pytest.mark.parametrize("slack", [1e308, float("nan"), -1.0])
def test_a_slack_that_is_no_width_is_refused(slack: float) -> None:
    class Odd:
        name = "odd"

        def turn(self, tenant: TenantView) -> int:
            return tenant.counter

    discipline = Odd()
    discipline.slack = slack  # type: ignore[attr-defined]  # each value is a test
    with pytest.raises(UsageError, match="slack None or 0 to"):
        Policy(discipline=discipline)  # type: ignore[arg-type]  # as above


def test_a_discipline_has_a_slack_even_if_it_is_none() -> None:
    class Half:
        name = "half"

        def turn(self, tenant: TenantView) -> int:
            return tenant.oldest

    with pytest.raises(UsageError, match="a discipline such as"):
        Policy(discipline=Half())  # type: ignore[arg-type]  # wrong types are the test


def test_a_class_is_no_discipline() -> None:
    with pytest.raises(UsageError, match="a discipline such as"):
        Policy(discipline=Vtc)  # type: ignore[arg-type]  # wrong types are the test


def test_a_price_too_small_for_weight_one_is_refused() -> None:
    with pytest.raises(UsageError, match="such that one output token"):
        Policy(cost=LinearCost(output=1e-9))


@pytest.mark.parametrize("field", ["token_budget", "max_sequences", "max_waiting"])
@pytest.mark.parametrize("bad", [0, -1, 2.0, True, "8"])
def test_a_limit_is_none_or_at_least_one(field: str, bad: object) -> None:
    with pytest.raises(UsageError, match=rf"Policy\.{field} must be None or"):
        Policy(**{field: bad})  # type: ignore[arg-type]  # wrong types are the test


def test_giving_up_at_the_first_failure_is_allowed() -> None:
    assert Policy(max_failures=0).max_failures == 0
    with pytest.raises(UsageError, match=r"Policy\.max_failures"):
        Policy(max_failures=-1)


def test_queues_may_be_without_limit() -> None:
    policy = Policy(max_waiting=None, max_waiting_per_tenant=None)
    assert policy.max_waiting is None
    assert policy.max_waiting_per_tenant is None


def test_a_discipline_is_known_by_its_turn() -> None:
    class Backwards:
        name = "backwards"
        slack = None

        def turn(self, tenant: object) -> int:
            del tenant
            return 0

    assert Policy(discipline=Backwards()).discipline.name == "backwards"
    with pytest.raises(UsageError, match=r"such as Vtc\(\) or Fcfs\(\)"):
        Policy(discipline="vtc")  # type: ignore[arg-type]  # wrong types are the test


def test_admission_is_one_of_two() -> None:
    assert {"optimistic", "reserve"} == {admission.value for admission in Admission}
    with pytest.raises(UsageError, match=r"Policy\.admission"):
        Policy(admission="reserve")  # type: ignore[arg-type]  # wrong types are the test


def test_there_are_four_orders_inside_the_gate() -> None:
    orders = {order.value for order in Order}
    assert {"fifo", "prefix", "shortest", "decode-heavy"} == orders
    with pytest.raises(UsageError, match=r"Policy\.order"):
        Policy(order="prefix")  # type: ignore[arg-type]  # wrong types are the test


@pytest.mark.parametrize("bad", [-1, 1.5, None, True])
def test_patience_is_a_number_of_requests_and_may_be_none_at_all(bad: object) -> None:
    assert Policy(patience=0).patience == 0
    with pytest.raises(UsageError, match=r"Policy\.patience must be an integer >= 0"):
        Policy(patience=bad)  # type: ignore[arg-type]  # wrong types are the test


@pytest.mark.parametrize("bad", [0, -1.0, math.inf, math.nan, True, "8"])
def test_a_commitment_is_none_or_some_service(bad: object) -> None:
    assert Policy(commitment=0.5).commitment == 0.5
    with pytest.raises(UsageError, match=r"Policy\.commitment must be a finite number"):
        Policy(commitment=bad)  # type: ignore[arg-type]  # wrong types are the test


def test_a_prefix_cache_is_a_value_or_none() -> None:
    assert Policy(prefix_cache=None).prefix_cache is None
    with pytest.raises(UsageError, match=r"Policy\.prefix_cache"):
        Policy(prefix_cache=True)  # type: ignore[arg-type]  # wrong types are the test


def test_a_price_of_the_cache_that_would_be_rounded_away_is_refused() -> None:
    assert Policy(cost=LinearCost(cached=0)).cost.cached == 0
    with pytest.raises(UsageError, match="such that one cached token"):
        Policy(cost=LinearCost(cached=1e-12))


def test_a_policy_cannot_be_changed_but_varied() -> None:
    policy = Policy()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        policy.max_failures = 1  # type: ignore[misc]  # that it is refused is the test
    varied = attrs.evolve(policy, discipline=Fcfs())
    assert Fcfs() == varied.discipline
    assert attrs.evolve(varied, discipline=Vtc()) == policy


def test_a_policy_survives_pickling_and_stays_read_only() -> None:
    policy = Policy(weights={"a": 3.0}, discipline=Vtc(slack=7.0), max_waiting=5)

    copy = pickle.loads(pickle.dumps(policy))  # noqa: S301  # our own bytes

    assert policy == copy
    with pytest.raises(TypeError):
        copy.weights["a"] = 1.0
