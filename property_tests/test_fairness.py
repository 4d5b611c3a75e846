"""The gap between backlogged tenants stays within the bound the kernel states.

The bound is computed from what the run itself committed, so it is tight enough to bite:
the planted bugs at the end break it. How close runs come to it is in
``test_theorems_tight``.
"""

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given

from fairq import Admission, Capacity, Fcfs, Policy
from fairq.cost import SCALE
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from property_tests.mutants.catalogue import MUTANTS
from property_tests.programs import STEP, Commit, Plan, Program, Setting, Submit
from property_tests.record import RECORD
from property_tests.theorems import claims
from property_tests.theorems.claims import Spread, aim
from property_tests.theorems.trial import Trial, units
from property_tests.theorems.workloads import any_kernel, wild

LATE = "leave at the step boundary only"
WEIGHTS = {"a": 1.0, "b": 1.0, "c": 4.0, "d": 0.5}


def stated(trial: Trial, _one: str, _other: str) -> int:
    """What the kernel itself says, before it is made a float."""
    counters = trial.kernel._life.counters
    assert counters.slack is not None
    committed = counters.largest_commitment + counters.largest_prepaid
    return 2 * (counters.slack + committed)


@given(setting=any_kernel, program=wild)
def test_no_gap_exceeds_the_stated_bound(setting: Setting, program: Program) -> None:
    claim = Spread(claims.executed, stated)

    Trial(setting, claim).play(program).finish(150)

    aim("Gap that the kernel states", claim)


@given(setting=any_kernel, program=wild)
def test_the_stated_bound_is_that_of_what_was_committed_and_prepaid(
    setting: Setting, program: Program
) -> None:
    """2 (Q + O + P), with O and P as the plans show them."""
    trial = Trial(setting)

    for op in program:
        trial.do(op)
        if trial.outstanding is None and trial.books:
            expected = 2 * (claims.gate(trial) + claims.prepaid(trial))
            assert expected == stated(trial, "", "")
            assert expected / SCALE == trial.kernel.snapshot().gap_bound
    RECORD.exact("Stated bound is 2 (Q + O + P)")


# --- planted bugs: what the oracle is worth ----------------------------------------

SMALL = Setting(
    Capacity(blocks=40, block_size=2, max_sequences=2, tokens_per_step=8),
    Policy(weights=WEIGHTS),
)


def check(program: Program) -> None:
    """The gap stays within the stated bound, to the end."""
    trial = Trial(SMALL, Spread(claims.executed, stated))
    trial.play(program).finish()
    trial.kernel.check()


def long_after(tenant: str) -> Program:
    """One tenant works alone for long; then a second comes and both are backlogged."""
    return [
        Submit("c", 4, 4, 2),
        Submit(tenant, 4, 4, 60),
        *STEP * 200,
        Submit("b", 4, 4, 60),
        Submit(tenant, 4, 4, 60),
    ]


def test_a_long_absence_banks_no_credit() -> None:
    check(long_after("a"))


def test_coming_back_during_the_last_step_of_the_own_queue_banks_no_credit() -> None:
    """It would never be lifted, and let others wait for as long as it had been modest.

    While its only request is in the outstanding plan others are let past it.
    """
    modest: Program = [Plan(), Submit("b", 1, 1), Commit()] * 25

    check([Submit("a", 4, 1, 100), Submit("b", 1, 1), *modest, Submit("b", 4, 1, 60)])


ROOMY = Capacity(blocks=100, block_size=1, max_sequences=2, tokens_per_step=200)
FIFTY_STEPS: Program = STEP * 50
TAKEN_IN_ONE_PLAN: Program = [
    *(Submit("b", 1, 50), Submit("x", 1, 50), Submit("a", 1, 1), Submit("b", 1, 50)),
    *FIFTY_STEPS,
    # Takes the last requests of a, who had nothing yet, and then of b.
    *(Plan(), Submit("a", 60, 1), Commit()),
    *(Submit("b", 3, 49), Submit("a", 3, 49, 3)),
]


def test_who_is_taken_before_others_is_lifted_to_who_was_taken_last() -> None:
    """When a plan takes two tenants whole and the first comes back during the step."""
    claim = Spread(claims.executed, stated)
    policy = Policy(admission=Admission.RESERVE)

    Trial(Setting(ROOMY, policy), claim).play(TAKEN_IN_ONE_PLAN).finish(400)

    assert claim.seen > 0


def test_a_kernel_where_tenants_leave_when_the_step_ends_is_found() -> None:
    """They leave in the order in which they come back, so who is last is wrong."""
    claim = Spread(claims.executed, stated)
    policy = Policy(admission=Admission.RESERVE)
    late = next(each for each in MUTANTS if each.name == LATE)

    with late.planted(), pytest.raises(AssertionError):
        Trial(Setting(ROOMY, policy), claim).play(TAKEN_IN_ONE_PLAN).finish(400)


def test_a_kernel_without_the_lift_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def join(self: VirtualCounters, tenant: Tenant) -> None:
        self._idle.discard(tenant)
        self.backlogged.add(tenant)

    monkeypatch.setattr(VirtualCounters, "join", join)

    with pytest.raises(AssertionError):
        check(long_after("a"))


def test_a_kernel_that_forgets_to_charge_prompts_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def charge(
        self: VirtualCounters, tenant: Tenant, prompt: int, outputs: int
    ) -> None:
        tenant.lifted -= tenant.prompt_price * prompt
        original(self, tenant, prompt, outputs)

    original: Callable[[VirtualCounters, Tenant, int, int], None]
    original = VirtualCounters.charge_admission
    monkeypatch.setattr(VirtualCounters, "charge_admission", charge)

    with pytest.raises(AssertionError):
        check([Submit("a", 20, 1, 60), Submit("b", 1, 5, 60)])


def test_first_come_first_served_exceeds_what_would_be_the_bound() -> None:
    program: Program = [Submit("a", 4, 4, 100), Submit("b", 4, 4, 100)]
    fair = Trial(SMALL).play(program).finish()
    policy = attrs.evolve(SMALL.policy, discipline=Fcfs())
    gap = Spread(claims.executed, lambda _t, _i, _j: units(1e9))
    fcfs = Trial(attrs.evolve(SMALL, policy=policy), gap).play(program).finish()
    bound = fair.kernel.snapshot().gap_bound
    assert bound is not None

    assert gap.seen > 5 * bound * SCALE
    assert fcfs.kernel.snapshot().gap_bound is None
