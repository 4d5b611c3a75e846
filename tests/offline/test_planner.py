"""What ``plan_offline`` returns for jobs small enough to say what it should."""

import pickle
from collections.abc import Iterable

import pytest

from fairq import Request, TokenIds, UsageError
from fairq.offline import OfflineGroup, OfflinePlan, plan_offline


def asked(
    prompt: Iterable[int], max_tokens: int = 1, adapter: str | None = None
) -> Request:
    return Request(
        tenant="a", prompt=TokenIds(prompt), max_tokens=max_tokens, adapter=adapter
    )


def group(prefix_tokens: int, *members: int) -> OfflineGroup:
    return OfflineGroup(prefix_tokens=prefix_tokens, members=members)


def planned(*prompts: list[int], block_size: int = 1) -> tuple[OfflineGroup, ...]:
    return plan_offline(list(map(asked, prompts)), block_size=block_size).groups


def test_no_requests_are_a_plan_without_groups() -> None:
    plan = plan_offline([])

    assert OfflinePlan(groups=(), logical_tokens=0) == plan
    assert () == plan.order
    assert 0 == plan.saving


def test_requests_that_share_nothing_are_alone() -> None:
    assert {group(0, 0), group(0, 1)} == set(planned([1, 2], [2, 2]))


def test_requests_that_share_a_prefix_are_a_group() -> None:
    assert (group(2, 0, 2), group(0, 1)) == planned([1, 2, 3], [4] * 3, [1, 2, 4])


def test_a_prefix_is_cut_to_whole_blocks() -> None:
    one, two = [*range(40), 90], [*range(40), 91]

    assert (group(32, 0, 1),) == planned(one, two, block_size=16)
    assert (group(40, 0, 1),) == planned(one, two, block_size=8)


def test_less_than_a_block_is_not_shared() -> None:
    one, two = [*range(15), 90, 1], [*range(15), 91, 1]

    assert 2 == len(planned(one, two, block_size=16))


def test_blocks_have_16_tokens_unless_said() -> None:
    requests = [asked([*range(31), last]) for last in (90, 91)]

    assert (group(16, 0, 1),) == plan_offline(requests).groups


@pytest.mark.parametrize(
    ("length", "shared"), [(1, 0), (4, 0), (5, 4), (8, 4), (9, 8), (12, 8), (13, 12)]
)
def test_the_last_token_of_equal_prompts_is_computed(length: int, shared: int) -> None:
    groups = planned(*[list(range(length))] * 3, block_size=4)

    assert {shared} == {group.prefix_tokens for group in groups}


def test_a_prompt_that_another_begins_with_keeps_a_token_to_compute() -> None:
    assert (group(4, 0, 1),) == planned(list(range(8)), list(range(20)), block_size=4)


def test_a_fork_is_worth_more_than_what_is_below_it() -> None:
    """The stem of 100 for all four saves 300; 180 for each pair saves 360."""
    left, right = [0] * 100 + [1] * 80, [0] * 100 + [2] * 80
    groups = planned(*([*way, leaf] for way in (left, right) for leaf in (7, 8)))

    assert (group(180, 0, 1), group(180, 2, 3)) == groups


def test_a_stem_is_worth_more_than_short_forks_of_it() -> None:
    left, right = [0] * 100 + [1] * 20, [0] * 100 + [2] * 20
    groups = planned(*([*way, leaf] for way in (left, right) for leaf in (7, 8)))

    assert (group(100, 0, 1, 2, 3),) == groups


def test_a_draw_goes_to_the_longer_prefixes() -> None:
    """The stem of 100 for all four saves 300, and so do 150 for each pair."""
    left, right = [0] * 100 + [1] * 50, [0] * 100 + [2] * 50
    groups = planned(*([*way, leaf] for way in (left, right) for leaf in (7, 8)))

    assert (group(150, 0, 1), group(150, 2, 3)) == groups


def test_requests_may_use_less_than_they_share_for_the_sake_of_others() -> None:
    stem = list(range(10))
    groups = planned([*stem, 20, 30], [*stem, 20, 31], *([*stem, x] for x in (40, 41)))

    assert (group(10, 0, 1, 2, 3),) == groups


def test_adapters_do_not_share() -> None:
    requests = [asked(range(9), adapter=adapter) for adapter in (None, "x", None, "x")]

    assert (group(8, 0, 2), group(8, 1, 3)) == plan_offline(
        requests, block_size=1
    ).groups


def test_tenants_share() -> None:
    requests = [
        Request(tenant=tenant, prompt=range(9), max_tokens=1) for tenant in "ab"
    ]

    assert (group(8, 0, 1),) == plan_offline(requests, block_size=8).groups


def test_who_decodes_most_for_its_prompt_comes_first() -> None:
    requests = [asked([1] * 10, 5), asked([2] * 4, 9), asked([3] * 10, 50)]

    assert (2, 1, 0) == plan_offline(requests).order


def test_a_prefix_counts_once_for_its_group() -> None:
    """Two outputs for 9 + 1 tokens to compute come before one for 6."""
    requests = [asked([7] * 6), asked([1] * 9), asked([1] * 9)]

    assert (1, 2, 0) == plan_offline(requests, block_size=8).order


def test_ratios_that_differ_by_little_are_told_apart() -> None:
    """Floats say that both are 1e16: 10**16 + 1 has no float of its own."""
    requests = [asked([1], 10**16), asked([2], 10**16 + 1)]

    assert (1, 0) == plan_offline(requests).order


def test_equal_ratios_stay_in_the_order_of_their_first_requests() -> None:
    requests = [asked([1] * 3, 1), asked([2] * 6, 2), asked([3] * 9, 3)]

    assert (0, 1, 2) == plan_offline(requests).order


def test_what_is_saved_is_counted() -> None:
    plan = plan_offline([asked([1] * 10), asked([1] * 10), asked([2] * 12)])
    small = plan_offline([asked([1] * 9)] * 3 + [asked([2] * 5)], block_size=4)

    assert (32, 0, 0) == (plan.logical_tokens, plan.saved_tokens, plan.saving)
    assert (32, 16, 0.5) == (small.logical_tokens, small.saved_tokens, small.saving)
    assert 16 == small.groups[0].saved_tokens + small.groups[1].saved_tokens


def test_400_groups_of_16_save_85_percent() -> None:
    """6,400 prompts of 2,200 tokens, of which 16 share 2,000, dealt out like cards."""
    requests = [
        asked([*range(deck, deck + 2_000), *range(own, own + 200)], 100)
        for own in range(0, 3_200, 200)
        for deck in range(10_000, 10_400)
    ]

    plan = plan_offline(requests)

    assert 14_080_000 == plan.logical_tokens
    assert 12_000_000 == plan.saved_tokens
    assert 0.8523 == round(plan.saving, 4)
    assert group(2_000, *range(0, 6_400, 400)) == plan.groups[0]


def test_prompts_that_are_prefixes_of_each_other_need_no_stack() -> None:
    """More of them than Python nests calls; a group takes those up to the next."""
    count = 1_200
    longest = TokenIds(range(count + 1))
    requests = [asked(longest[: length + 1]) for length in range(1, count + 1)]

    best = [0, 0]  # saved by those of less than so many shared tokens
    for end in range(2, count + 2):
        ways = (best[cut] + (end - cut - 1) * cut for cut in range(1, end))
        best.append(max(ways))

    assert best[-1] == plan_offline(requests, block_size=1).saved_tokens


def test_a_plan_can_be_pickled() -> None:
    plan = plan_offline([asked(range(40)), asked(range(40)), asked([1])])

    assert plan == pickle.loads(pickle.dumps(plan))  # noqa: S301  # our own bytes


@pytest.mark.parametrize("block_size", [0, -1, 1.5, True, "16", None])
def test_a_block_size_is_a_positive_integer(block_size: int) -> None:
    with pytest.raises(UsageError, match=r"block_size must be an integer >= 1 .*; got"):
        plan_offline([], block_size=block_size)


def test_what_is_no_request_is_named_by_its_index() -> None:
    requests: list[Request] = [asked([1]), "hello"]  # type: ignore[list-item]  # the mistake

    with pytest.raises(UsageError, match=r"requests\[1\] must be a Request; got str\."):
        plan_offline(requests)
