"""The kernel does what its model does, in corners that are seldom reached at random.

Each strategy leads to one of them: requests that do not fit beside those that do,
prompts that are given up half computed, a pool that is full to the last block, members
that need blocks all at once.
"""

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from fairq import Admission, Capacity, Discipline, Fcfs, Policy, Vtc
from property_tests.effort import part
from property_tests.pair import Pair
from property_tests.programs import (
    STEP,
    Cancel,
    Commit,
    Fail,
    Plan,
    Program,
    Setting,
    Submit,
    flat,
)


def compare(setting: Setting, program: Program) -> None:
    pair = Pair(setting)
    pair.play(program)
    pair.finish()


# --- requests that do not fit beside those that do -----------------------------------

DISCIPLINES: st.SearchStrategy[Discipline] = st.sampled_from(
    [Vtc(slack=1.0), Vtc(slack=3.0), Vtc(slack=3.0), Vtc(slack=9.0), Vtc(), Fcfs()]
)
crowds: st.SearchStrategy[Program] = st.lists(
    st.builds(Submit, st.sampled_from("abcdef"), st.integers(1, 8), st.integers(1, 3)),
    min_size=4,
    max_size=9,
).map(list)
waves = st.lists(crowds.map(lambda crowd: [*crowd, *STEP * 4]), min_size=1, max_size=3)
narrow = st.builds(
    Setting,
    st.builds(
        Capacity,
        blocks=st.integers(8, 12),
        block_size=st.just(1),
        max_sequences=st.integers(3, 6),
        tokens_per_step=st.sampled_from([8, 32]),
    ),
    st.builds(
        Policy,
        weights=st.sampled_from([{}, {"a": 2.0, "b": 0.5}]),
        discipline=DISCIPLINES,
        admission=st.sampled_from(Admission),
    ),
)


def beside(blocks: int, discipline: Discipline) -> Setting:
    """Three at a time, in a pool so small."""
    capacity = Capacity(blocks=blocks, block_size=1, max_sequences=3, tokens_per_step=8)
    return Setting(capacity, Policy(discipline=discipline))


FIRST_TOO_LARGE: Program = [
    Submit("a", 3, 1),
    Submit("b", 1, 3),
    Submit("a", 1, 1, 2),
    *STEP * 4,
]
ONE_AFTER_ANOTHER: Program = [
    Submit("d", 4, 1),
    Submit("a", 5, 2),
    Submit("a", 1, 1),
    Submit("b", 1, 2),
    Submit("c", 1, 1),
    Submit("c", 1, 2),
    *STEP * 4,
]
THIRD_FITS: Program = [
    Submit("a", 1, 3),
    Submit("a", 6, 3),
    Submit("a", 1, 1),
    Submit("a", 1, 2),
    *STEP * 4,
    Submit("a", 1, 1, 2),
    Submit("b", 1, 2),
    Submit("c", 1, 1),
    *STEP * 4,
]
LARGE_THEN_SMALL: Program = [
    Submit("a", 1, 1, 2),
    Submit("a", 1, 3),
    Submit("b", 1, 1),
    *STEP * 4,
]
MORE_THAN_FIT: Program = [Submit("a", 1, 3, 2), Submit("a", 1, 1, 2), *STEP * 4]


@part(1)
@given(setting=narrow, program=waves.map(flat))
@example(setting=beside(8, Vtc(3.0)), program=FIRST_TOO_LARGE)
@example(setting=beside(8, Vtc(3.0)), program=ONE_AFTER_ANOTHER)
@example(setting=beside(11, Vtc(1.0)), program=THIRD_FITS)
@example(setting=beside(8, Vtc(1.0)), program=MORE_THAN_FIT)
@example(setting=beside(8, Fcfs()), program=LARGE_THEN_SMALL)
def test_whoever_is_passed_is_passed_within_the_slack(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


# --- prompts that are given up half computed -----------------------------------------

slow = st.builds(
    Setting,
    st.builds(
        Capacity,
        blocks=st.just(200),
        block_size=st.just(4),
        max_sequences=st.integers(2, 3),
        tokens_per_step=st.sampled_from([2, 3, 5]),
    ),
    st.builds(Policy, weights=st.sampled_from([{}, {"a": 2.0}])),
)
long_prompts = st.builds(
    Submit, st.sampled_from("abc"), st.integers(1, 16), st.integers(1, 3)
)
regrets: st.SearchStrategy[Program] = st.builds(
    lambda submits, which, steps: [*submits, *STEP * steps, *map(Cancel, which)],
    st.lists(long_prompts, min_size=1, max_size=4),
    st.lists(st.integers(0, 20), max_size=3),
    st.integers(1, 3),
)


BY_TWOS = Setting(
    Capacity(blocks=200, block_size=4, max_sequences=2, tokens_per_step=2), Policy()
)
TWICE_MORE: Program = [Submit("a", 1, 1), *STEP, Submit("a", 1, 1), *STEP]


@part(1)
@given(setting=slow, program=st.lists(regrets, min_size=3, max_size=8).map(flat))
@example(setting=BY_TWOS, program=[Submit("a", 3, 1), *STEP, Cancel(0), *TWICE_MORE])
@example(
    setting=BY_TWOS,
    program=[
        Submit("b", 4, 1),
        Submit("a", 3, 1),
        Submit("b", 1, 1),
        *STEP,
        Cancel(0),
        *TWICE_MORE,
    ],
)
def test_what_is_refunded_puts_its_tenant_where_it_belongs(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


# --- who comes during a step ---------------------------------------------------------

# With room for everybody each step empties the queues.
eager = Setting(
    Capacity(blocks=200, block_size=4, max_sequences=8, tokens_per_step=32),
    Policy(weights={"b": 2.0}),
)
any_pace = st.one_of(slow, st.just(eager))
visits: st.SearchStrategy[Program] = st.builds(
    lambda ops, answer: [Plan(), *ops, answer],
    st.lists(
        st.one_of(
            st.builds(
                Submit,
                st.sampled_from("abc"),
                st.sampled_from([1, 2, 3, 12]),
                st.sampled_from([1, 2, 5]),
            ),
            st.builds(Cancel, st.integers(0, 20)),
        ),
        max_size=3,
    ),
    st.sampled_from([Commit(), Commit(), Commit(), Fail()]),
)


LIGHT_BY_TWOS = attrs.evolve(BY_TWOS, policy=Policy(weights={"a": 2.0}))
BOTH = [Submit("a", 1, 1), Submit("b", 1, 1)]


@part(1)
@given(setting=any_pace, program=st.lists(visits, min_size=6, max_size=20).map(flat))
@example(
    setting=BY_TWOS,
    program=[*BOTH, Submit("b", 1, 1), Plan(), Submit("b", 1, 1), Commit()],
)
@example(setting=eager, program=[*BOTH, Plan(), *BOTH, Commit()])
@example(setting=LIGHT_BY_TWOS, program=[*BOTH, Plan(), BOTH[0], Commit()])
@example(setting=BY_TWOS, program=[BOTH[0], Plan(), Cancel(0), Cancel(0), Commit()])
def test_who_comes_during_a_step_is_lifted_if_its_queue_was_emptied_by_it(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


# --- a pool that is full to the last block -------------------------------------------

small = st.builds(
    Capacity,
    blocks=st.integers(3, 9),
    block_size=st.sampled_from([1, 2]),
    max_sequences=st.integers(2, 8),
    tokens_per_step=st.sampled_from([4, 6, 32]),
)
full = st.one_of(
    st.builds(Setting, small, st.just(Policy(admission=Admission.RESERVE))),
    st.builds(Setting, small, st.just(Policy()), st.booleans()),
)
floods: st.SearchStrategy[Program] = st.builds(
    lambda submits, steps: [*submits, *STEP * steps],
    st.lists(
        st.builds(
            Submit,
            st.sampled_from("ab"),
            st.integers(1, 4),
            st.integers(1, 6),
            st.integers(1, 3),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 8),
)


THREE_BLOCKS = Capacity(blocks=3, block_size=1, max_sequences=2, tokens_per_step=4)
RESERVED = Setting(THREE_BLOCKS, Policy(admission=Admission.RESERVE))


@part(1)
@given(setting=full, program=st.lists(floods, min_size=1, max_size=4).map(flat))
@example(setting=RESERVED, program=[Submit("a", 1, 2, 2), *STEP])
@example(setting=RESERVED, program=[Submit("a", 1, 1, 2), Submit("a", 1, 2, 2), *STEP])
@example(setting=RESERVED, program=[Submit("a", 1, 1, 4), *STEP])
@example(setting=Setting(THREE_BLOCKS, Policy()), program=[Submit("a", 1, 2), *STEP])
def test_a_pool_that_is_full_is_never_overdrawn(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


# --- members that need blocks all at once --------------------------------------------

crowded = st.builds(
    Setting,
    st.builds(
        Capacity,
        blocks=st.integers(10, 15),
        block_size=st.sampled_from([1, 1, 2]),
        max_sequences=st.just(4),
        tokens_per_step=st.sampled_from([4, 4, 32]),
    ),
    st.builds(Policy, weights=st.sampled_from([{"light": 64.0}, {"light": 64.0}, {}])),
    misled=st.just(value=True),
)
cancelling: st.SearchStrategy[Program] = st.builds(
    lambda which: [Plan(), Cancel(which), Commit()], st.integers(0, 9)
)
growing: st.SearchStrategy[Program] = st.builds(
    lambda crowd, long, steps: [*crowd, long, *flat(steps)],
    st.lists(
        st.builds(Submit, st.sampled_from("abc"), st.integers(1, 2), st.integers(4, 9)),
        min_size=2,
        max_size=3,
    ),
    # Its tenant has a small counter, so others are thrown out beside its prompt.
    st.builds(Submit, st.just("light"), st.integers(5, 9), st.integers(1, 3)),
    st.lists(st.one_of(st.just(STEP), st.just(STEP), cancelling), max_size=8),
)


BESIDE_A_PROMPT = Setting(
    Capacity(blocks=12, block_size=1, max_sequences=4, tokens_per_step=4),
    Policy(weights={"light": 64.0}),
    misled=True,
)
CANCELLED_VICTIM: Program = [
    Submit("a", 2, 5),
    Submit("a", 1, 4),
    Submit("light", 6, 3),
    *STEP * 4,
    Submit("a", 1, 4, 3),
    Submit("light", 5, 1),
    Plan(),
    Cancel(2),
    Commit(),
]


PAIRS = Setting(
    Capacity(blocks=10, block_size=2, max_sequences=4, tokens_per_step=4),
    Policy(weights={"light": 64.0}),
    misled=True,
)
PROMPT_BESIDE_VICTIMS: Program = [
    Submit("a", 1, 4, 2),
    Submit("light", 5, 1),
    Submit("a", 1, 7),
    Submit("a", 1, 4),
    Submit("light", 5, 1),
    *STEP * 6,
]


@part(1)
@given(setting=crowded, program=st.lists(growing, min_size=1, max_size=3).map(flat))
@example(setting=BESIDE_A_PROMPT, program=CANCELLED_VICTIM)
@example(setting=PAIRS, program=PROMPT_BESIDE_VICTIMS)
def test_members_that_grow_at_once_share_what_there_is(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)
