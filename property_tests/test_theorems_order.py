"""What holds exactly: lifts, charges, what changes nothing. T6 to T9, T13 to T17.

T1 to T17 are the statements about VTC (Sheng et al., "Fairness in Serving Large
Language Models", OSDI 2024) that a scheduler should be tested for; those about how far
apart tenants can get are in ``test_theorems``.
"""

from collections.abc import Iterable

import attrs
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from fairq import (
    Admission,
    Capacity,
    Fcfs,
    LinearCost,
    Policy,
    Vtc,
)
from fairq.kernel._counters import VirtualCounters
from fairq.kernel._tenant import Tenant
from property_tests import programs as plain
from property_tests.effort import part
from property_tests.programs import (
    Cancel,
    Commit,
    Op,
    Plan,
    Player,
    Program,
    Setting,
    Submit,
)
from property_tests.record import RECORD
from property_tests.theorems import claims
from property_tests.theorems.claims import Spread
from property_tests.theorems.trial import Claim, Place, Trial, units
from property_tests.theorems.workloads import (
    any_kernel,
    calm,
    polite,
    wild,
)

STEPS = 150

# --- lifts --------------------------------------------------------------------------


def forget_the_lift(self: VirtualCounters, tenant: Tenant) -> None:
    """A join that leaves counters as they are."""
    self._idle.discard(tenant)
    self.backlogged.add(tenant)


def gap_after(absence: int) -> tuple[int, int]:
    """A tenant works alone for so many requests; then another comes, and both wait.

    The gap between them and the bound that the kernel states, in service units.
    """
    capacity = Capacity(blocks=64, block_size=1, max_sequences=1)
    claim = Spread(claims.executed, lambda _t, _i, _j: units(1e9))
    trial = Trial(Setting(capacity, Policy()), claim)
    trial.play([Submit("f", 1, 1), Submit("g", 1, 1, absence)]).finish()
    trial.play([Submit("f", 1, 1, absence), Submit("g", 1, 1, absence)])
    trial.finish()
    bound = trial.kernel.snapshot().gap_bound
    assert bound is not None
    return claim.seen // units(1.0), int(bound)


@part(4)
@given(absence=st.integers(1, 60))
def test_t6_without_the_lift_a_gap_grows_with_the_absence(absence: int) -> None:
    """Credit from an absence is what the lift takes away: Sheng et al., section 4.1.

    A request costs 3; whoever stayed away is served alone for as long as it did.
    """
    gap, bound = gap_after(absence)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VirtualCounters, "join", forget_the_lift)
        grown, stated = gap_after(absence)

    assert gap <= bound == stated
    assert 3 * (absence - 2) <= grown <= 3 * absence
    RECORD.exact("T6 no bound without the lift")


class Floor(Claim):
    """The largest that the smallest counter of those who wait has ever been.

    While nobody waits it is the counter of who left the queue last that counts.
    """

    def __init__(self) -> None:
        self.level = 0
        self._left: list[str] = []
        self._before: list[str] = []

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        del through
        now = trial.backlogged()
        gone = [name for name in self._before if name not in now]
        if gone:
            self._left = [max(gone, key=lambda name: last_entry(trial, name))]
        # Who is forgotten is below the floor.
        known = trial.kernel._life.counters.tenants
        pack = now or [name for name in self._left if name in known]
        self.level = max(self.level, min(map(trial.counter, pack), default=0))
        self._before = now
        return ()


def last_entry(trial: Trial, tenant: str) -> tuple[int, int]:
    """When a plan last admitted a request of a tenant, and at which place."""
    return max(job.latest for job in trial.jobs.values() if job.tenant == tenant)


def expected_counter(trial: Trial, floor: Floor, tenant: str) -> int:
    """What the counter of a tenant is to be when it has asked for something."""
    known = trial.kernel._life.counters.tenants
    before = known[tenant].counter if tenant in known else 0
    return before if tenant in trial.backlogged() else max(before, floor.level)


# Of its prompt of 7 a has computed 2 when it takes its request back, and asks again.
REFUNDED = [Submit("a", 7, 1), Plan(), Commit(), Cancel(0), Submit("a", 1, 1)]
NARROW = Setting(Capacity(blocks=8, tokens_per_step=2), Policy())


@example(setting=NARROW, program=REFUNDED)
@given(setting=any_kernel, program=polite)
def test_t7_an_arrival_lifts_to_the_smallest_counter_and_never_lowers(
    setting: Setting, program: Program
) -> None:
    """To that of those who wait, or when nobody does of who left the queue last.

    Source: Sheng et al., Algorithm 2. It is the running maximum of the smallest
    counter, so refunds do not lower it; and whoever waits already is not lifted.
    """
    floor = Floor()
    trial = Trial(setting, floor)

    for op in program:
        if not isinstance(op, Submit) or trial.outstanding is not None:
            trial.do(op)
            continue
        for _ in range(op.count):
            expected = expected_counter(trial, floor, op.tenant)
            asked = len(trial.jobs)
            trial.do(attrs.evolve(op, count=1))
            if len(trial.jobs) > asked:
                assert expected == trial.counter(op.tenant)
    RECORD.exact("T7 lift")


# --- charges ------------------------------------------------------------------------


class Conserved(Claim):
    """Counters without lifts are what plans and answers charged, to the last unit."""

    def __init__(self) -> None:
        self._bases: dict[Tenant, int] = {}
        """What was charged to a tenant before the kernel began to count it (anew)."""

    def look(self, trial: Trial, through: list[str]) -> Iterable[tuple[int, int]]:
        del through
        for tenant in trial.kernel._life.counters.tenants.values():
            charged = trial.books[tenant.name].charged
            base = self._bases.setdefault(tenant, charged)
            assert charged - base == tenant.counter - tenant.lifted
        return ()


@given(setting=any_kernel, program=wild)
def test_t8_counters_grow_by_what_is_charged_and_by_nothing_else(
    setting: Setting, program: Program
) -> None:
    """A prompt when it is admitted, each output once, refunds; nothing for recomputing.

    Source: conservation of charges, which finds what is charged twice or never. When
    all is done, what was executed is the cost of all prompts and outputs.
    """
    trial = Trial(setting, Conserved()).play(program).finish()

    for name, book in trial.books.items():
        jobs = [job for job in trial.jobs.values() if job.tenant == name]
        prompts = book.prompt_price * sum(job.paid for job in jobs)
        outputs = book.output_price * sum(job.produced for job in jobs)
        assert prompts + outputs == book.charged == book.executed
    RECORD.exact("T8 conservation of charges")


@part(4)
@given(capacity=plain.capacities, program=calm)
def test_t9_charges_are_the_true_cost_whatever_the_forecast_is(
    capacity: Capacity, program: Program
) -> None:
    """A wrong forecast costs preemptions, and nobody pays for them.

    Source: Sheng et al., section 4.4: predictions change no total. fairq forecasts
    memory and not charges, so they never have to be corrected.
    """
    settings = [
        Setting(capacity, Policy(admission=admission), misled)
        for admission in Admission
        for misled in (False, True)
    ]
    for setting in settings:
        trial = Trial(setting).play(program).finish()
        event(f"preemptions {min(trial.kernel.snapshot().preemptions, 3)}")
        for name, book in trial.books.items():
            jobs = [job for job in trial.jobs.values() if job.tenant == name]
            cost = sum(job.prompt + 2 * job.produced for job in jobs)
            assert units(1.0) * cost == book.charged
    RECORD.exact("T9 charges whatever the forecast")


@given(setting=any_kernel, program=wild)
def test_t16_a_cancelled_request_is_charged_no_more_and_holds_nobody_back(
    setting: Setting, program: Program
) -> None:
    """Its tenant waits no longer if nothing else of it does, and gets a refund.

    Source: cancellation, which the paper leaves out. Nothing of it is in any later
    plan: the books of a trial hold only live requests.
    """
    trial = Trial(setting, Conserved())

    for op in program:
        trial.do(op)
        if trial.outstanding is None:
            counters = trial.kernel._life.counters
            tenants = counters.tenants.values()
            waiting = sorted(t.name for t in tenants if t.waiting)
            turns = sorted(t.name for t in tenants if t in counters.backlogged)
            assert sorted(trial.backlogged()) == waiting == turns
    trial.finish(STEPS)

    over = [job for job in trial.jobs.values() if job.cancelled]
    event(f"cancelled {min(len(over), 3)}")
    assert all(job.place is Place.OVER for job in over)
    RECORD.exact("T16 cancels")


# --- what changes nothing -----------------------------------------------------------


@part(2)
@given(
    setting=plain.settings_of_kernels, program=plain.programs, power=st.integers(-8, 8)
)
def test_t13_the_unit_of_service_changes_no_plan(
    setting: Setting, program: Program, power: int
) -> None:
    """Prices and slack times a power of two give the same plans, bit for bit.

    Source: Sheng et al., section 4.2: a general cost that is linear is plain VTC.
    """
    policy = setting.policy
    cost = LinearCost(prompt=1.0 * 2.0**power, output=2.0 * 2.0**power)
    discipline = policy.discipline
    if isinstance(discipline, Vtc):
        discipline = Vtc(slack=discipline.slack * 2.0**power)
    scaled = attrs.evolve(policy, cost=cost, discipline=discipline)

    one, other = Player(setting), Player(attrs.evolve(setting, policy=scaled))

    assert one.play(program) == other.play(program)
    assert one.finish() == other.finish()
    RECORD.exact("T13 linear costs")


def of_one_tenant(op: Op) -> Op:
    return attrs.evolve(op, tenant="a") if isinstance(op, Submit) else op


@part(2)
@given(
    setting=plain.settings_of_kernels,
    program=plain.programs,
    slack=st.sampled_from([0.0, 8.0]),
)
def test_t14_for_one_tenant_it_is_first_come_first_served(
    setting: Setting, program: Program, slack: float
) -> None:
    """Nobody to be fair to: Sheng et al., section 4.1."""
    program = [of_one_tenant(op) for op in program]
    logs = []
    for discipline in (Vtc(slack=slack), Fcfs()):
        policy = attrs.evolve(setting.policy, discipline=discipline)
        player = Player(attrs.evolve(setting, policy=policy))
        player.play(program)
        logs.append(player.finish())

    assert logs[0] == logs[1]
    RECORD.exact("T14 one tenant")


def keep(self: VirtualCounters, tenant: Tenant) -> None:
    """Forget nobody."""


@part(2)
@given(setting=plain.settings_of_kernels, program=plain.programs)
def test_t17_who_is_idle_below_the_floor_can_be_forgotten(
    setting: Setting, program: Program
) -> None:
    """It would be lifted to the floor anyway, so to forget nobody changes no plan.

    Source: Sheng et al., Algorithm 2, which keeps a counter of every client for ever.
    """
    player = Player(setting)
    player.play(program)
    log = player.finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VirtualCounters, "_forget", keep)
        other = Player(setting)
        other.play(program)
        kept = other.finish()

    assert kept == log
    few, all_ = player.kernel.snapshot().tenants, other.kernel.snapshot().tenants
    counters = {tenant.tenant: tenant.counter for tenant in all_}
    event(f"forgotten {len(all_) - len(few)}")
    assert [counters[tenant.tenant] for tenant in few] == [t.counter for t in few]
    RECORD.exact("T17 bounded state")


def test_t17_tenants_are_forgotten() -> None:
    """What is kept of many tenants is who was served last."""
    trial = Trial(Setting(Capacity(blocks=8, max_sequences=1), Policy()))
    tenants = [f"t{number}" for number in range(200)]

    trial.play(
        [op for name in tenants for op in (Submit(name, 1, 1), Plan(), Commit())]
    )

    assert ["t199"] == [t.tenant for t in trial.kernel.snapshot().tenants]
