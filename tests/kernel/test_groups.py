"""Groups: who computes a prefix, who waits for it, who pays."""

from fairq import Policy, PrefixCache, RequestId, Share, StepPlan, Vtc
from tests.kernel.sharing import Shop, cached, text

PREFIX = text((1, 6))


def sibling(last: int) -> list[int]:
    return [*PREFIX, last]


def group(tenants: str, shop: Shop | None = None) -> Shop:
    """One of each tenant, all with one prefix; the first lives for long."""
    shop = Shop() if shop is None else shop
    for number, tenant in enumerate(tenants):
        shop.ask(sibling(2 + number), tenant, max_tokens=1 if number else 20)
    return shop


def prompts(shop: Shop) -> dict[str, int]:
    """Prompt positions that each tenant bears."""
    tenants = shop.kernel.snapshot().tenants
    return {each.tenant: each.prompt_tokens for each in tenants}


def part(member: int, tokens: int) -> Share:
    """What a member takes over from the first request."""
    return Share(RequestId(0), RequestId(member), tokens)


def gate(plan: StepPlan) -> list[int]:
    return [enter.request_id for enter in plan.enter]


def test_the_first_computes_and_the_others_enter_together() -> None:
    shop = group("aaa")
    first, _ = shop.step()
    second, _ = shop.step()

    assert {0: 0} == cached(first)
    assert {1: 6, 2: 6} == cached(second)


def test_others_go_ahead_of_those_who_are_held_back() -> None:
    shop = group("aa")
    other = shop.ask(text((7, 4)))
    first, _ = shop.step()

    assert [0, other] == gate(first)


def test_a_plan_says_who_shares_which_blocks() -> None:
    shop = group("aaa")
    first, _ = shop.step()
    second, _ = shop.step()

    (shared,) = second.shared
    assert first.enter[0].blocks[:3] == shared.blocks
    assert {0, 1, 2} == {*shared.members}


def test_nobody_shares_alone() -> None:
    shop = Shop()
    shop.serve(sibling(2))
    shop.ask(sibling(3))
    plan, _ = shop.step()

    assert {1: 6} == cached(plan)
    assert plan.shared == ()


def test_after_so_many_plans_nobody_waits_any_more() -> None:
    cache = PrefixCache(everybody=True, max_wait=2)
    shop = group("aa", Shop(Policy(prefix_cache=cache)))
    entered = []
    for _ in range(3):
        plan = shop.plan()
        shop.kernel.fail(plan.step_id)
        entered.append(gate(plan))

    assert [[0], [0], [0, 1]] == entered


def test_the_charge_is_split_in_equal_parts() -> None:
    shop = group("abc")
    shop.step()
    assert prompts(shop)["a"] == 7
    _, events = shop.step()

    assert (part(1, 2), part(2, 2)) == events.shares
    # Each computed its own last token.
    assert {"a": 3, "b": 3, "c": 3} == prompts(shop)


def test_what_does_not_divide_stays_with_who_computed_it() -> None:
    shop = group("abcd")
    shop.step()
    _, events = shop.step()

    assert [1, 1, 1] == [share.tokens for share in events.shares]
    assert prompts(shop)["a"] == 7 - 3


def test_who_comes_later_takes_over_nothing() -> None:
    shop = group("ab")
    shop.step()
    _, events = shop.step()
    assert len(events.shares) == 1

    shop.ask(sibling(9), "c")
    plan, events = shop.step()
    assert {2: 6} == cached(plan)
    assert events.shares == ()


def test_who_was_not_looked_at_while_it_was_computed_pays_too() -> None:
    # The prefix takes whole steps: nobody else is looked at meanwhile.
    shop = group("ab", Shop(tokens=4))
    events = [shop.step()[1] for _ in range(3)]

    assert [(), (), (part(1, 3),)] == [each.shares for each in events]


def test_who_asks_when_it_is_there_pays_nothing_even_if_it_is_the_first() -> None:
    shop = group("a")
    shop.step()
    shop.ask(sibling(9), "c")
    plan, events = shop.step()

    assert {1: 6} == cached(plan)
    assert events.shares == ()


def test_who_enters_before_it_is_done_does_not_stand_for_those_who_wait() -> None:
    shop = Shop(tokens=16)
    long = [*text((1, 20)), 2]
    shop.ask(long, "a", max_tokens=20)
    for tenant in "bcd":
        shop.ask([*text((1, 20)), 3], tenant)
    # Has a block in common with them, and enters as soon as that is there.
    shop.ask([*text((1, 2)), 9], "x")
    shares = [share for _ in range(3) for share in shop.step()[1].shares]

    full = [share.tokens for share in shares if share.member < 4]
    assert [5, 5, 5] == full


def test_each_bears_what_it_has_in_common_and_nothing_else() -> None:
    shop = Shop()
    shop.ask([*text((1, 12)), 2], "a", max_tokens=20)
    shop.ask([*text((1, 12)), 3], "b")
    for tenant in "cde":
        shop.ask([*text((1, 4)), 9], tenant)
    shop.step()
    _, events = shop.step()

    # Four positions over five, the eight after them over two.
    assert (part(1, 4),) == events.shares


def test_inside_a_tenant_nothing_goes_from_one_to_the_other() -> None:
    cache = PrefixCache(everybody=True)
    policy = Policy(discipline=Vtc(slack=100.0), prefix_cache=cache)
    shop = group("aab", Shop(policy))
    shop.step()
    _, events = shop.step()

    # The second of a has its part too, and it is a that pays it.
    assert (part(2, 2),) == events.shares


def test_who_is_outside_the_gate_stays_behind_and_finds_it_later() -> None:
    """b was served too much, so it waits until a has caught up."""
    cache = PrefixCache(everybody=True)
    shop = Shop(Policy(discipline=Vtc(), prefix_cache=cache), slots=1)
    shop.ask(text((8, 40)), "b")
    shop.ask(sibling(2), "a")
    shop.ask(text((7, 4)), "b")
    shop.ask(sibling(3), "b")
    shop.ask(text((6, 60)), "a")
    order = [gate(shop.step()[0]) for _ in range(5)]

    assert [[0], [1], [4], [2], [3]] == order
    assert shop.kernel.snapshot().cached_tokens == 6
