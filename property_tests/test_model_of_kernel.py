"""The kernel does what its model does: each plan, event, rejection and counter.

The model (``property_tests.reference``) was written from the documentation. It is
complete: blocks and slots by name, both admissions, preemption, failures, limits. With
enough blocks and slack 0 it is virtual token counters, to the token.
"""

import attrs
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from fairq import Admission, Capacity, Discipline, Fcfs, LinearCost, Policy, Vtc
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._planner import Planner
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant
from property_tests.effort import part
from property_tests.pair import Pair
from property_tests.programs import (
    PATIENT,
    STEP,
    TENANTS,
    Cancel,
    Commit,
    Fail,
    Op,
    Plan,
    Program,
    Setting,
    Submit,
    cancels,
    commits,
    flat,
    programs,
    single,
    submits,
)

# --- settings -----------------------------------------------------------------------

TIGHT = st.builds(
    Capacity,
    blocks=st.integers(4, 20),
    block_size=st.sampled_from([1, 2, 3, 4]),
    max_sequences=st.integers(1, 8),
    tokens_per_step=st.sampled_from([1, 2, 5, 8, 32]),
)
# Never short of blocks: what remains is virtual token counters alone.
ENDLESS = st.builds(
    Capacity,
    blocks=st.just(400),
    block_size=st.sampled_from([1, 4]),
    max_sequences=st.integers(1, 8),
    tokens_per_step=st.sampled_from([1, 2, 5, 16, 100]),
)
# Blocks run out before slots and budget do.
CROWDED = st.builds(
    Capacity,
    blocks=st.integers(4, 20),
    block_size=st.sampled_from([1, 2, 4]),
    max_sequences=st.integers(3, 8),
    tokens_per_step=st.sampled_from([5, 8, 32]),
)
WEIGHTS = st.dictionaries(
    st.sampled_from(TENANTS), st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0, 7.0, 64.0])
)
COSTS = st.builds(
    LinearCost,
    prompt=st.sampled_from([0.0, 0.3, 1.0, 5.0]),
    output=st.sampled_from([0.7, 1.0, 2.0]),
)
DISCIPLINES: st.SearchStrategy[Discipline] = st.sampled_from(
    [Vtc(), Vtc(slack=0.7), Vtc(slack=8.0), Vtc(slack=64.0), Fcfs()]
)


def policies(admission: Admission) -> st.SearchStrategy[Policy]:
    return st.builds(
        Policy,
        weights=WEIGHTS,
        cost=COSTS,
        discipline=DISCIPLINES,
        admission=st.just(admission),
        token_budget=st.sampled_from([None, None, None, 1]),
        max_sequences=st.sampled_from([None, None, None, 1]),
        max_waiting=st.sampled_from([None, 3, 8]),
        max_waiting_per_tenant=st.sampled_from([None, None, 2]),
        max_failures=st.sampled_from([0, 1, PATIENT]),
    )


def under(admission: Admission) -> st.SearchStrategy[Setting]:
    capacities = st.one_of(TIGHT, TIGHT, ENDLESS)
    return st.builds(Setting, capacities, policies(admission))


preempting = st.builds(
    Setting,
    CROWDED,
    st.builds(
        Policy,
        weights=WEIGHTS,
        cost=COSTS,
        discipline=DISCIPLINES,
        max_waiting=st.sampled_from([None, 8]),
        max_failures=st.sampled_from([1, PATIENT]),
    ),
    misled=st.just(value=True),
)

# --- programs -----------------------------------------------------------------------

undisturbed = st.integers(1, 5).map(lambda count: STEP * count)
meanwhile = st.lists(st.one_of(submits, cancels), max_size=2)
answers: st.SearchStrategy[Op] = st.one_of(commits, commits, commits, st.just(Fail()))


def around(ops: Program, answer: Op) -> Program:
    return [Plan(), *ops, answer]


meddled_steps = st.builds(around, meanwhile, answers)
meddled: st.SearchStrategy[Program] = st.lists(
    st.one_of(single(submits), undisturbed, meddled_steps, meddled_steps),
    min_size=10,
    max_size=40,
).map(flat)
anything = st.one_of(programs, meddled)

SHORT = Capacity(blocks=8, block_size=1, max_sequences=4, tokens_per_step=32)
MISLED = Setting(SHORT, Policy(), misled=True)
# Both fit at first; later one of them is preempted.
BOTH_GROW: Program = [Submit("a", 2, 6), Submit("b", 2, 6)]
# Two of them are preempted in one step, when something has been learned already.
FOUR_GROW: Program = [Submit("c", 1, 2), *STEP * 3, Submit("a", 1, 6, count=4)]

# --- the kernel is its model --------------------------------------------------------


def compare(setting: Setting, program: Program) -> int:
    """How often somebody was preempted."""
    pair = Pair(setting)

    pair.play(program)
    pair.finish()

    snapshot = pair.kernel.snapshot()
    assert setting.capacity.blocks == snapshot.free_blocks
    return snapshot.preemptions


@part(1)
@given(setting=under(Admission.OPTIMISTIC), program=anything)
def test_the_kernel_does_what_its_model_does(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


@part(1)
@given(setting=preempting, program=anything)
def test_it_does_so_when_blocks_run_out(setting: Setting, program: Program) -> None:
    event(f"preemptions {min(3, compare(setting, program))}")


@part(2)
@given(setting=under(Admission.RESERVE), program=anything)
def test_it_does_so_when_blocks_are_reserved(
    setting: Setting, program: Program
) -> None:
    assert 0 == compare(setting, program)


# --- the gate -----------------------------------------------------------------------


@pytest.mark.parametrize("slack", [0.0, 64.0])
@pytest.mark.parametrize(("in_vain", "enters"), [(31, True), (32, False)])
def test_a_plan_asks_32_tenants_in_vain_and_no_more(
    slack: float, in_vain: int, *, enters: bool
) -> None:
    policy = Policy(discipline=Vtc(slack=slack), admission=Admission.RESERVE)
    pair = Pair(Setting(SHORT, policy))
    pair.play([Submit("holder", 3, 4), Plan(), Commit()])

    # They are all lifted to the same counter, so that a slack of 0 lets them pass.
    pair.play([Submit(f"large {number}", 3, 1) for number in range(in_vain)])
    pair.play([Submit("small", 1, 1), Plan()])

    assert pair.outstanding is not None
    assert enters == bool(pair.outstanding.enter)
    pair.finish()


@pytest.mark.parametrize(("slack", "enters"), [(6.0, False), (7.0, True)])
def test_the_gate_stays_where_the_first_in_turn_has_put_it(
    slack: float, *, enters: bool
) -> None:
    policy = Policy(discipline=Vtc(slack=slack), admission=Admission.RESERVE)
    pair = Pair(Setting(attrs.evolve(SHORT, blocks=24), policy))
    pair.play([Submit("six", 4, 1), Submit("twelve", 10, 1), Submit("five", 3, 6)])
    pair.play([Plan(), Commit()])

    # A new tenant is lifted to five. It does not fit, nor does the next.
    pair.play([Submit("new", 17, 1), Submit("six", 17, 1), Submit("twelve", 1, 1)])
    pair.play([Plan()])

    assert pair.outstanding is not None
    assert enters == bool(pair.outstanding.enter)
    pair.finish()


# --- what programs seldom hit -------------------------------------------------------


@pytest.mark.parametrize("answer", [Commit(), Fail()], ids=["commit", "fail"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_while_any_step_runs_ends_as_in_the_model(
    which: int, answer: Op
) -> None:
    step: Program = [Plan(), Cancel(which), Submit("b", 1, 2), answer]
    for before in range(12):
        compare(MISLED, [*BOTH_GROW, *STEP * before, *step])


@pytest.mark.parametrize(
    "policy",
    [Policy(max_waiting=1), Policy(max_waiting_per_tenant=1)],
    ids=["all", "tenant"],
)
def test_who_was_preempted_counts_against_the_limits_of_queues(policy: Policy) -> None:
    setting = Setting(SHORT, policy, misled=True)
    pair = Pair(setting)
    pair.play([Submit("a", 2, 6), *STEP, Submit("b", 2, 6), *STEP * 4])
    assert 1 == pair.kernel.snapshot().preemptions
    assert (1, 1) == (pair.model.state.waiting, len(pair.model.state.batch))

    pair.play([Submit("b", 1, 1)])

    assert 2 == pair.submitted
    pair.finish()


# --- planted bugs: what the model is worth ------------------------------------------

ROOMY = Capacity(blocks=400, block_size=4, max_sequences=2, tokens_per_step=8)
UNHURRIED = Setting(ROOMY, Policy())
ALONE_THEN_TWO: Program = [
    Submit("a", 4, 4, count=6),
    *STEP * 12,
    Submit("b", 2, 4, count=6),
    *STEP * 12,
]
CHUNKED = Setting(attrs.evolve(ROOMY, tokens_per_step=2), Policy())
CUT_SHORT: Program = [Submit("a", 8, 4), *STEP, Cancel(0), Submit("a", 1, 1)]
# Request 1 is in a failed step, then in none, then in a failed one: twice in a row.
ABRUPT = Setting(attrs.evolve(ROOMY, tokens_per_step=4), Policy(max_failures=1))
PASSED_BETWEEN: Program = [
    *(Submit("a", 8, 1), Submit("a", 1, 2), Submit("b", 11, 4), Submit("b", 4, 2)),
    *STEP * 4,
    *(Plan(), Cancel(2), Fail()),
    *STEP,
    *(Plan(), Fail()),
]
# Who arrived first joins first and lifts the other, though its request is gone.
GONE_AND_BACK: Program = [
    *(Submit("a", 50, 2), Submit("b", 20, 4), *STEP * 9, Plan()),
    *(Submit("a", 1, 1), Submit("c", 1, 1), Cancel(2), Submit("a", 1, 1), Commit()),
]
EXAMPLES = [
    (UNHURRIED, ALONE_THEN_TWO),
    (CHUNKED, CUT_SHORT),
    (MISLED, BOTH_GROW),
    (MISLED, FOUR_GROW),
    (ABRUPT, PASSED_BETWEEN),
    (UNHURRIED, GONE_AND_BACK),
]


@pytest.mark.parametrize(("setting", "program"), EXAMPLES)
def test_the_model_agrees_with_the_kernel_on_the_examples(
    setting: Setting, program: Program
) -> None:
    compare(setting, program)


def test_the_examples_of_preemption_preempt() -> None:
    assert compare(MISLED, BOTH_GROW) > 0
    assert compare(MISLED, FOUR_GROW) > 1


def test_a_kernel_that_lifts_too_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self._idle.discard(tenant)
        self.backlogged.add(tenant)

    monkeypatch.setattr(VirtualCounters, "join", join)
    pair = Pair(UNHURRIED)

    with pytest.raises(AssertionError):
        pair.play(ALONE_THEN_TWO)


def test_a_kernel_that_refunds_nothing_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VirtualCounters, "refund", lambda *_: None)
    pair = Pair(CHUNKED)

    with pytest.raises(AssertionError):
        pair.play(CUT_SHORT)


def test_a_kernel_that_preempts_the_oldest_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def victim(self: Planner, _: object) -> Sequence:
        decodes = self._life.batch.decodes
        return self._life.sequences[min(decodes)]

    monkeypatch.setattr(Planner, "_victim", victim)
    pair = Pair(MISLED)

    with pytest.raises(AssertionError):
        pair.play([*BOTH_GROW, *STEP * 20])


def test_a_kernel_that_charges_a_prompt_again_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    again = property(lambda self: self.prompt_length)
    monkeypatch.setattr(Sequence, "unpaid", again)
    pair = Pair(MISLED)

    with pytest.raises(AssertionError):
        pair.play([*BOTH_GROW, *STEP * 20])
