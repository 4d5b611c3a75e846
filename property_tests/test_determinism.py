"""The same calls give the same plans, and what should not matter does not."""

import math
from collections.abc import Callable

import attrs
from hypothesis import given
from hypothesis import strategies as st

from fairq import (
    Capacity,
    Discipline,
    Kernel,
    Policy,
    Snapshot,
    StepPlan,
    Vtc,
)
from property_tests.programs import (
    PATIENT,
    TENANTS,
    WEIGHTS,
    Commit,
    Fail,
    Op,
    Plan,
    Player,
    Program,
    Setting,
    Submit,
    capacities,
    describe,
    disciplines,
    policies,
    programs,
    settings_of_kernels,
)

Look = Callable[[Kernel], object]
looks: st.SearchStrategy[Look] = st.sampled_from(
    [Kernel.snapshot, Kernel.check, Kernel.__repr__]
)
patient = st.builds(
    Setting,
    capacities,
    policies.map(lambda policy: attrs.evolve(policy, max_failures=PATIENT)),
    st.booleans(),
)


def played(setting: Setting, program: Program) -> Player:
    player = Player(setting)
    player.play(program)
    player.finish()
    return player


@given(setting=settings_of_kernels, program=programs)
def test_the_same_calls_give_the_same_plans_events_and_snapshots(
    setting: Setting, program: Program
) -> None:
    one, other = Player(setting), Player(setting)

    for op in program:
        one.do(op)
        other.do(op)
        assert repr(one.kernel.snapshot()) == repr(other.kernel.snapshot())
    assert one.log == other.log
    assert one.finish() == other.finish()


@given(setting=settings_of_kernels, program=programs, look=looks)
def test_looking_changes_nothing(
    setting: Setting, program: Program, look: Look
) -> None:
    expected = played(setting, program)
    watched = Player(setting)

    for op in program:
        look(watched.kernel)
        watched.do(op)
        look(watched.kernel)

    assert expected.log == watched.finish()
    assert expected.kernel.snapshot() == watched.kernel.snapshot()


@given(setting=settings_of_kernels, program=programs)
def test_asking_again_for_an_outstanding_plan_changes_nothing(
    setting: Setting, program: Program
) -> None:
    expected = played(setting, program)
    impatient = Player(setting)

    for op in program:
        impatient.do(op)
        if impatient.outstanding is not None:
            impatient.kernel.plan()

    assert expected.log == impatient.finish()


# --- what should not matter ---------------------------------------------------------


def renamed(op: Op, names: dict[str, str]) -> Op:
    return attrs.evolve(op, tenant=names[op.tenant]) if isinstance(op, Submit) else op


@given(setting=settings_of_kernels, program=programs, order=st.permutations(TENANTS))
def test_names_of_tenants_carry_no_meaning(
    setting: Setting, program: Program, order: list[str]
) -> None:
    names = dict(zip(TENANTS, order, strict=True))
    weights = {names[name]: weight for name, weight in WEIGHTS.items()}
    policy = attrs.evolve(setting.policy, weights=weights)
    other = attrs.evolve(setting, policy=policy)

    expected = played(setting, program)
    actual = played(other, [renamed(op, names) for op in program])

    assert expected.log == actual.log
    for one, two in zip(
        expected.kernel.snapshot().tenants,
        actual.kernel.snapshot().tenants,
        strict=True,
    ):
        assert attrs.evolve(one, tenant=names[one.tenant]) == two


def scaled(policy: Policy, factor: float) -> Policy:
    """All weights larger; the slack is per unit of weight, so it shrinks."""
    weights = {name: weight * factor for name, weight in policy.weights.items()}
    discipline = policy.discipline
    if isinstance(discipline, Vtc):
        discipline = Vtc(slack=discipline.slack / factor)
    return attrs.evolve(policy, weights=weights, discipline=discipline)


def counters(snapshot: Snapshot, factor: float) -> list[float]:
    return [tenant.counter * factor for tenant in snapshot.tenants]


@given(setting=settings_of_kernels, program=programs, power=st.integers(-6, 6))
def test_only_ratios_of_weights_matter(
    setting: Setting, program: Program, power: int
) -> None:
    factor = math.ldexp(1.0, power)
    other = attrs.evolve(setting, policy=scaled(setting.policy, factor))

    expected, actual = played(setting, program), played(other, program)

    assert expected.log == actual.log
    one, two = expected.kernel.snapshot(), actual.kernel.snapshot()
    assert counters(one, 1.0) == counters(two, factor)
    assert [each.service for each in one.tenants] == [
        each.service for each in two.tenants
    ]


@given(setting=settings_of_kernels, program=programs, weight=st.floats(0.01, 100))
def test_a_tenant_that_asks_for_nothing_changes_nothing(
    setting: Setting, program: Program, weight: float
) -> None:
    weights = WEIGHTS | {"idle": weight}
    other = attrs.evolve(setting, policy=attrs.evolve(setting.policy, weights=weights))

    expected, actual = played(setting, program), played(other, program)

    assert expected.log == actual.log
    assert expected.kernel.snapshot() == actual.kernel.snapshot()


@given(setting=settings_of_kernels, program=programs, where=st.integers(0, 100))
def test_a_refused_request_changes_nothing(
    setting: Setting, program: Program, where: int
) -> None:
    capacity = setting.capacity
    too_large = Submit("refused", 1, capacity.blocks * capacity.block_size + 1)
    where %= len(program) + 1
    expected = played(setting, program)

    actual = Player(setting)
    actual.play(program[:where])
    before = len(actual.log)
    actual.do(too_large)
    refusal = actual.log.pop(before)
    actual.play(program[where:])

    assert refusal.startswith("rejected (False")
    assert expected.log == actual.finish()
    assert expected.kernel.snapshot() == actual.kernel.snapshot()


# --- failed steps -------------------------------------------------------------------


def begins(player: Player, op: Op) -> bool:
    """Do it; whether a plan has become outstanding by it."""
    before = player.outstanding
    player.do(op)
    return player.outstanding is not None and before is None


def preempts(player: Player) -> bool:
    """Whether the outstanding plan throws somebody out; that outlasts a failure."""
    draft = player.kernel._draft
    return draft is not None and bool(draft.preempted)


def fail_and_plan_again(player: Player) -> None:
    """As if nobody had seen it."""
    entries = len(player.log)
    player.do(Fail())
    player.do(Plan())
    del player.log[entries:]


@given(setting=patient, program=programs)
def test_after_a_failure_the_next_plan_is_the_same_but_for_its_id(
    setting: Setting, program: Program
) -> None:
    player = Player(setting)

    for op in program:
        if not begins(player, op) or preempts(player):
            continue
        failed, said = player.outstanding, player.log[-1]
        fail_and_plan_again(player)
        assert failed is not None
        assert player.outstanding is not None
        assert said == describe(player.outstanding)
        assert failed.step_id + 1 == player.outstanding.step_id


@given(setting=patient, program=programs, often=st.integers(1, 3))
def test_failed_steps_leave_no_trace(
    setting: Setting, program: Program, often: int
) -> None:
    """Every step that preempts nobody fails before it succeeds; the run is the same."""
    program = [op for op in program if not isinstance(op, Fail)]
    expected = played(setting, program)
    unlucky = Player(setting)

    for op in program:
        fails = begins(unlucky, op) and not preempts(unlucky)
        for _ in range(often if fails else 0):
            fail_and_plan_again(unlucky)

    assert expected.log == unlucky.finish()
    one, two = expected.kernel.snapshot(), unlucky.kernel.snapshot()
    # An id is not used again; all else is the same.
    assert attrs.evolve(one, outstanding=None) == attrs.evolve(two, outstanding=None)


# --- the order of disciplines -------------------------------------------------------


@given(
    capacity=capacities,
    discipline=disciplines,
    prompt=st.integers(1, 4),
    count=st.integers(1, 4),
)
def test_a_tenant_alone_is_served_in_order_whatever_the_discipline(
    capacity: Capacity, discipline: Discipline, prompt: int, count: int
) -> None:
    setting = Setting(capacity, Policy(discipline=discipline))
    player = Player(setting)
    player.do(Submit("a", prompt, 1, count))
    entered: list[int] = []

    while isinstance(plan := player.kernel.plan(), StepPlan):
        entered += [enter.request_id for enter in plan.enter]
        player.outstanding = plan
        player.do(Commit())

    assert list(range(player.submitted)) == entered
