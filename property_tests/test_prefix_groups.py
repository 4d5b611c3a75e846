"""Who waits for a shared prefix: not for long, not for nothing, and not by itself.

In a kernel with room for everybody only one reason is left not to admit a request: what
it begins with is just being computed. So who was left behind shows who was held back.
"""

from collections.abc import Sequence

from hypothesis import event, given
from hypothesis import strategies as st

from fairq import Policy, PrefixCache
from property_tests.effort import part
from property_tests.prefixes.ample import Ample, Arrivals, kernels, waves
from property_tests.prefixes.programs import Ask


@given(policy=kernels(st.sampled_from([1, 2, 8])), waves=waves)
def test_who_is_left_behind_waits_for_a_prefix_and_finds_it(
    policy: Policy, waves: Sequence[Arrivals]
) -> None:
    """Held back for at most ``max_wait`` plans, and only for one who computes."""
    ample = Ample(policy).play(waves)

    event(f"held back at most {ample.longest} times")


@part(2)
@given(policy=kernels(st.just(0)), waves=waves)
def test_nobody_is_held_back_where_nobody_may_be(
    policy: Policy, waves: Sequence[Arrivals]
) -> None:
    ample = Ample(policy).play(waves)

    assert 0 == ample.held


TWINS = [Ask("a", 1, 6, (2,), 1), Ask("a", 1, 6, (3,), 1)]


def wait(plans: int) -> Policy:
    return Policy(prefix_cache=PrefixCache(max_wait=plans))


def test_a_leader_whose_steps_fail_is_waited_for_as_long_as_is_said() -> None:
    """Then the other one computes the prefix as well."""
    for most in range(4):
        ample = Ample(wait(most))
        for ask in TWINS:
            ample.submit(ask)
        for _ in range(most):
            ample.step(fails=True)
            assert 2 == len(ample.waiting)
        ample.step(fails=False)
        assert (most, 0) == (ample.longest, len(ample.waiting))


def test_those_who_were_held_back_enter_together_and_share_the_run() -> None:
    """One computes the prefix; in the next plan all others find it."""
    ample = Ample(wait(8))
    leader = Ask("a", 1, 6, (2,), 3)
    ample.submit(leader)
    for last in range(3, 6):
        ample.submit(Ask("a", 1, 6, (last,), 1))

    first = ample.step(fails=False)
    assert first is not None
    assert [0] == [enter.request_id for enter in first.enter]
    second = ample.step(fails=False)
    assert second is not None
    assert {1: 6, 2: 6, 3: 6} == {e.request_id: e.cached for e in second.enter}
    run = first.enter[0].blocks[:3]
    assert [(run, {0, 1, 2, 3})] == [(s.blocks, {*s.members}) for s in second.shared]


def test_who_has_the_same_prefix_but_not_the_same_adapter_waits_for_nobody() -> None:
    ample = Ample(wait(8))
    for adapter in (None, "lora", "other"):
        ample.submit(Ask("a", 1, 6, (2,), 1, adapter))

    ample.step(fails=False)

    assert (0, 0) == (ample.held, len(ample.waiting))
