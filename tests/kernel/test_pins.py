"""Pins: prefixes that stay in the cache whatever is needed."""

import pytest

from fairq import Admission, Policy, PrefixCache, RequestRejected, UsageError
from tests.kernel.sharing import SIZE, Shop, text

PREFIX = text((1, 6))


def shop(most: int = 3, blocks: int = 8) -> Shop:
    cache = PrefixCache(max_pinned_blocks=most)
    return Shop(Policy(prefix_cache=cache), blocks=blocks)


def flood(shop: Shop) -> None:
    """Requests that need every block that is not pinned."""
    for token in range(20, 24):
        shop.serve(text((token, 9)))


def test_what_is_not_pinned_is_evicted_by_what_comes() -> None:
    kernel = shop()
    kernel.serve(PREFIX)
    flood(kernel)

    assert kernel.found(text((1, 6), (2, 1))) == 0


def test_what_is_pinned_stays() -> None:
    kernel = shop()
    kernel.serve(PREFIX)
    assert kernel.kernel.pin("a", PREFIX) == 6
    flood(kernel)

    assert kernel.found(text((1, 6), (2, 1))) == 6


def test_what_is_unpinned_goes_again() -> None:
    kernel = shop()
    kernel.serve(PREFIX)
    kernel.kernel.pin("a", PREFIX)
    kernel.kernel.unpin("a", PREFIX)
    flood(kernel)

    assert kernel.found(text((1, 6), (2, 1))) == 0


def test_whole_blocks_are_pinned_as_far_as_they_are_cached() -> None:
    kernel = shop()
    kernel.serve(PREFIX)

    assert kernel.kernel.pin("a", text((1, 5), (2, 9))) == 2 * SIZE


def test_nothing_is_pinned_that_is_not_cached() -> None:
    kernel = shop()
    assert kernel.kernel.pin("a", PREFIX) == 0

    with pytest.raises(UsageError, match="pinned in the cache of tenant 'a'"):
        kernel.kernel.unpin("a", PREFIX)


def test_a_tenant_pins_in_its_own_cache_and_adapter() -> None:
    kernel = shop()
    kernel.serve(PREFIX)

    assert kernel.kernel.pin("b", PREFIX) == 0
    assert kernel.kernel.pin("a", PREFIX, adapter="lora") == 0


def test_a_prefix_is_pinned_once() -> None:
    kernel = shop()
    kernel.serve(PREFIX)
    kernel.kernel.pin("a", PREFIX)

    with pytest.raises(UsageError, match="these 6 tokens are pinned"):
        kernel.kernel.pin("a", PREFIX)


def test_no_more_blocks_are_pinned_than_may_be() -> None:
    kernel = shop(most=2)
    kernel.serve(PREFIX)

    with pytest.raises(UsageError, match="at most 2 pinned blocks"):
        kernel.kernel.pin("a", PREFIX)
    kernel.kernel.check()
    assert kernel.kernel.pin("a", PREFIX[:4]) == 4


def test_a_request_that_needs_what_may_be_pinned_is_rejected() -> None:
    kernel = shop(most=3, blocks=8)
    kernel.ask(text((1, 10)))

    with pytest.raises(RequestRejected, match="needs 6 KV blocks"):
        kernel.ask(text((1, 11)))


def test_what_is_promised_to_members_is_never_pinned_away() -> None:
    cache = PrefixCache(everybody=True, max_pinned_blocks=8)
    policy = Policy(admission=Admission.RESERVE, prefix_cache=cache)
    kernel = Shop(policy, blocks=20)
    kernel.serve(text((1, 17)))
    for token in (2, 3, 4):
        kernel.ask(text((token, 3)), max_tokens=10)
    kernel.step()

    assert kernel.kernel.pin("a", text((1, 16))) == 16
    while kernel.kernel.snapshot().running or kernel.kernel.snapshot().waiting:
        kernel.step()
    assert kernel.kernel.snapshot().preemptions == 0


def test_the_whole_pool_cannot_be_left_to_pins() -> None:
    with pytest.raises(UsageError, match="must be less than the 8 blocks of the back"):
        shop(most=8, blocks=8)


def test_without_a_cache_nothing_is_pinned() -> None:
    kernel = Shop(Policy(prefix_cache=None))
    kernel.serve(PREFIX)

    assert kernel.kernel.pin("a", PREFIX) == 0
