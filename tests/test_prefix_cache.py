import pickle

import attrs
import pytest

from fairq import Policy, PrefixCache, UsageError


def test_by_default_each_tenant_has_a_cache_of_its_own() -> None:
    cache = PrefixCache()
    assert not cache.everybody
    assert cache.groups == {}
    assert cache.namespace("a", None) == cache.namespace("a", None)
    assert cache.namespace("a", None) != cache.namespace("b", None)


def test_by_default_a_request_waits_eight_plans_and_nothing_is_pinned() -> None:
    assert (8, 0) == (PrefixCache().max_wait, PrefixCache().max_pinned_blocks)


def test_tenants_of_a_group_share_and_others_do_not() -> None:
    cache = PrefixCache(groups={"a": "team", "b": "team", "c": "other"})
    assert cache.namespace("a", None) == cache.namespace("b", None)
    names = {cache.namespace(tenant, None) for tenant in "abcd"}
    assert len(names) == 3


def test_everybody_shares_where_that_is_said() -> None:
    cache = PrefixCache(everybody=True)
    assert cache.namespace("a", None) == cache.namespace("b", None)


@pytest.mark.parametrize(
    "cache",
    [PrefixCache(), PrefixCache(groups={"a": "team"}), PrefixCache(everybody=True)],
    ids=["alone", "group", "everybody"],
)
def test_requests_with_different_adapters_never_share(cache: PrefixCache) -> None:
    names = {cache.namespace("a", adapter) for adapter in (None, "x", "y")}
    assert len(names) == 3


def test_a_tenant_is_not_taken_for_a_group_of_the_same_name() -> None:
    cache = PrefixCache(groups={"a": "b"})
    assert cache.namespace("a", None) != cache.namespace("b", None)


@pytest.mark.parametrize("groups", [{"": "g"}, {"a": ""}, {"a": None}, {3: "g"}])
def test_groups_are_names_by_names(groups: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"PrefixCache\.groups must be names of"):
        PrefixCache(groups=groups)


def test_groups_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(UsageError, match=r"PrefixCache\.groups must be a Mapping"):
        PrefixCache(groups=[("a", "g")])  # type: ignore[arg-type]  # wrong types are the test


def test_everybody_and_groups_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="False where there are groups"):
        PrefixCache(everybody=True, groups={"a": "g"})


@pytest.mark.parametrize("bad", [1, None, "no"])
def test_everybody_is_a_yes_or_no(bad: object) -> None:
    with pytest.raises(UsageError, match=r"PrefixCache\.everybody must be True or"):
        PrefixCache(everybody=bad)  # type: ignore[arg-type]  # wrong types are the test


@pytest.mark.parametrize("field", ["max_wait", "max_pinned_blocks"])
@pytest.mark.parametrize("bad", [-1, 1.0, True, None])
def test_a_limit_of_the_cache_is_a_number(field: str, bad: object) -> None:
    limits: dict[str, object] = {field: 0}
    assert PrefixCache(**limits) is not None  # type: ignore[arg-type]  # as below
    with pytest.raises(UsageError, match=rf"PrefixCache\.{field} must be an integer"):
        PrefixCache(**{field: bad})  # type: ignore[arg-type]  # wrong types are the test


def test_groups_are_copied_and_cannot_be_changed() -> None:
    groups = {"a": "g"}
    cache = PrefixCache(groups=groups)
    groups["b"] = "g"
    assert cache.groups == {"a": "g"}
    with pytest.raises(TypeError):
        cache.groups["b"] = "g"  # type: ignore[index]  # that it is refused is the test
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cache.max_wait = 1  # type: ignore[misc]  # as above


def test_a_cache_survives_pickling_with_its_policy() -> None:
    cache = PrefixCache(groups={"a": "g"}, max_wait=3, max_pinned_blocks=5)
    policy = Policy(prefix_cache=cache)

    copy = pickle.loads(pickle.dumps(policy))  # noqa: S301  # our own bytes

    assert cache == copy.prefix_cache
    assert policy == copy
