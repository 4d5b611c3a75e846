"""A witness whose tables share blocks: it knows what each block holds."""

from collections.abc import Callable

import attrs
import pytest

from fairq import (
    BlockId,
    Capacity,
    Enter,
    Kernel,
    Policy,
    PrefixCache,
    Request,
    RequestId,
    SharedPrefix,
    StepPlan,
    TokenIds,
)
from fairq.testing import Witness

ROOM = Capacity(blocks=16, block_size=4, prefix_cache=True)
TEXT = [7] * 4 + [8] * 4 + [9]


def planned(kernel: Kernel) -> StepPlan:
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    return plan


def warm() -> tuple[Kernel, Witness]:
    """A kernel that has just answered the text, and its witness."""
    policy = Policy(prefix_cache=PrefixCache(everybody=True))
    kernel, witness = Kernel(ROOM, policy), Witness(ROOM)
    kernel.submit(Request(tenant="a", prompt=TEXT, max_tokens=2))
    for _ in range(2):
        kernel.commit(witness.step(planned(kernel)))
    return kernel, witness


def second() -> tuple[Witness, StepPlan]:
    """A plan that lets two in that find two blocks each; nothing else is held."""
    kernel, witness = Kernel(ROOM, Policy(prefix_cache=PrefixCache())), Witness(ROOM)
    for _ in range(3):
        kernel.submit(Request(tenant="a", prompt=TEXT, max_tokens=2))
    kernel.commit(witness.step(planned(kernel)))
    return witness, planned(kernel)


def test_a_hit_that_is_one_is_accepted_and_goes_on_after_it() -> None:
    witness, plan = second()
    assert [8, 8] == [enter.cached for enter in plan.enter]
    assert plan.shared
    witness.step(plan)
    assert witness.positions == 9 + 1 + 2 * 1


def entering(plan: StepPlan, **changes: object) -> StepPlan:
    """The same plan; the second newcomer is told something else."""
    first, other = plan.enter
    changed: Enter = attrs.evolve(other, **changes)  # type: ignore[arg-type]  # each test changes another field
    return attrs.evolve(plan, enter=(first, changed))


def other_tokens(plan: StepPlan) -> StepPlan:
    return entering(plan, tokens=TokenIds([7] * 8 + [9]))


def other_blocks(plan: StepPlan) -> StepPlan:
    blocks = plan.enter[1].blocks
    return entering(plan, blocks=(blocks[1], blocks[0], *blocks[2:]))


def unwritten(plan: StepPlan) -> StepPlan:
    blocks = plan.enter[1].blocks
    return entering(plan, blocks=(blocks[0], BlockId(15), *blocks[2:]))


def all_cached(plan: StepPlan) -> StepPlan:
    return entering(plan, cached=9)


def half_a_block(plan: StepPlan) -> StepPlan:
    return entering(plan, cached=6)


def written_twice(plan: StepPlan) -> StepPlan:
    first, other = plan.enter
    return entering(plan, blocks=(*other.blocks[:2], first.blocks[2]))


def written_over(plan: StepPlan) -> StepPlan:
    """The second computes anew what the first relies on."""
    return entering(plan, cached=4)


def alone(plan: StepPlan) -> StepPlan:
    (run,) = plan.shared
    return attrs.evolve(plan, shared=(attrs.evolve(run, members=(RequestId(1),)),))


def another_run(plan: StepPlan) -> StepPlan:
    (run,) = plan.shared
    wrong = SharedPrefix((*run.blocks, BlockId(9)), run.members)
    return attrs.evolve(plan, shared=(wrong,))


WRONG: dict[str, Callable[[StepPlan], StepPlan]] = {
    "Expected request 2 to find its first 8 tokens in blocks; got others, or none, "
    "after 4 of them.": other_tokens,
    "Expected request 2 to find its first 8 tokens in blocks; got others, or none, "
    "after 0 of them.": other_blocks,
    "Expected request 2 to find whole blocks of 4 tokens, and not all of its 9 "
    "tokens; got cached=9.": all_cached,
    "Expected request 2 to find whole blocks of 4 tokens, and not all of its 9 "
    "tokens; got cached=6.": half_a_block,
    "A block is in two tables: ": written_twice,
    "Expected a run of blocks and two members; got ": alone,
    "Expected the table of request 1 to begin with blocks [": another_run,
}


@pytest.mark.parametrize("message", WRONG)
def test_a_wrong_hit_is_found(message: str) -> None:
    witness, plan = second()
    with pytest.raises(AssertionError) as caught:
        witness.step(WRONG[message](plan))
    assert str(caught.value).startswith(message)


def test_a_block_that_holds_nothing_is_no_hit() -> None:
    witness, plan = second()
    with pytest.raises(AssertionError, match="after 4 of them"):
        witness.step(unwritten(plan))


def test_a_block_that_others_rely_on_is_not_written() -> None:
    witness, plan = second()
    with pytest.raises(AssertionError, match="A block is in two tables"):
        witness.step(written_over(plan))


def test_what_is_cached_outlives_whoever_computed_it() -> None:
    kernel, witness = warm()
    kernel.submit(Request(tenant="b", prompt=TEXT, max_tokens=1))
    plan = planned(kernel)
    assert [8] == [enter.cached for enter in plan.enter]
    kernel.commit(witness.step(plan))
    assert [1, 2] == [len(witness.produced[RequestId(id_)]) for id_ in (1, 0)]


def test_a_block_that_was_named_again_holds_nothing_of_before() -> None:
    """Fifteen blocks for somebody else evict the text; naming its blocks is wrong."""
    kernel, witness = warm()
    kernel.submit(Request(tenant="b", prompt=range(60), max_tokens=1))
    kernel.commit(witness.step(planned(kernel)))
    kernel.submit(Request(tenant="c", prompt=[1], max_tokens=1))
    again = Enter(
        request_id=RequestId(7),
        slot=9,
        tokens=TokenIds(TEXT),
        prompt_length=9,
        blocks=(BlockId(0), BlockId(1), BlockId(2)),
        cached=8,
        sampling=None,
    )
    plan = attrs.evolve(planned(kernel), enter=(again,))
    with pytest.raises(AssertionError, match="Expected request 7 to find"):
        witness.step(plan)
