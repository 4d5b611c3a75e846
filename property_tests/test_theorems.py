"""How far apart tenants can get: the gate's lemma and theorem, and T1 to T5 and T11.

T1 to T17 are the statements of Sheng et al., "Fairness in Serving Large Language
Models" (OSDI 2024), read for what fairq does: prompts are charged whole at admission
and may be computed in chunks, requests may be preempted, tenants have weights, and
there is a gate of width Q. What the paper calls U and M is measured in each run: U(M)
from the largest sum of prompt and ``max_tokens`` of requests that were in the batch
together.

Every bound is checked at every moment, from the maxima so far. The letters: Q slack, O
largest commitment, P largest prepaid part, L longest prompt, w price or weight.
"""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fairq import Admission, Capacity, Discipline, Policy
from property_tests.effort import part
from property_tests.programs import Commit, Plan, Program, Setting, Submit
from property_tests.record import RECORD
from property_tests.theorems.claims import (
    Fluid,
    Level,
    Rise,
    Spread,
    a_jump_each,
    aim,
    counter,
    executed,
    four_jumps,
    gate_claims,
    jump,
    one_jump,
    prepaid,
    stated_change,
    three_commitments,
    two_jumps,
    width,
)
from property_tests.theorems.trial import UNIT, Claim, Trial
from property_tests.theorems.workloads import (
    any_kernel,
    capacities,
    disciplines,
    isolated_workloads,
    kernels,
    policies,
    reserving,
    wild,
)

STEPS = 150
"""Enough to empty most queues; a longer run shows nothing else."""
COSTS = ((1.0, 2.0), (1.0, 1.0), (2.0, 1.0), (5.0, 1.0), (0.0, 1.0))
"""Prices of a prompt token and an output token; the paper wants the second larger."""

equal_weights = kernels(policies(weights={}, costs=COSTS))


# --- the gate -----------------------------------------------------------------------


def try_gate(setting: Setting, program: Program, name: str) -> None:
    """Check a claim about the gate, as it is said of all and of each pair."""
    claims = gate_claims()
    tried = {each: claims[each] for each in (name, f"{name}, by pair")}
    Trial(setting, *tried.values()).play(program).finish(STEPS)
    for each, claim in tried.items():
        aim(f"{each}, {width(setting)}", claim)


@given(setting=any_kernel, program=wild)
def test_gate_lemma_on_charges(setting: Setting, program: Program) -> None:
    """Of two tenants that wait, no counter is more than Q + O above the other.

    Source: the gate of fairq. A refund takes a counter back by up to P, so P is added
    once there was one. By pair it is the O of the tenant that is ahead and the P of the
    one that is behind, and O without prompts that the gate saw charged.
    """
    try_gate(setting, program, "Gate lemma on charges")


@given(setting=any_kernel, program=wild)
def test_gate_lemma_on_service(setting: Setting, program: Program) -> None:
    """The same for counters of what was executed: not more than Q + O + P.

    Source: the gate of fairq.
    """
    try_gate(setting, program, "Gate lemma on service")


@given(setting=any_kernel, program=wild)
def test_gate_theorem_on_charges(setting: Setting, program: Program) -> None:
    """While two tenants wait, their charges per weight differ by at most 2 (Q + O).

    Source: the gate of fairq. Lifts are no charges; refunds are, and add 2 P. By pair
    it is 2 Q + O_i + O_j.
    """
    try_gate(setting, program, "Gate theorem on charges")


@given(setting=any_kernel, program=wild)
def test_gate_theorem_on_service(setting: Setting, program: Program) -> None:
    """While two tenants wait, service per weight differs by at most 2 (Q + O + P).

    Source: the gate of fairq. By pair it is 2 Q + O_i + O_j + P_i + P_j.
    """
    try_gate(setting, program, "Gate theorem on service")


@given(setting=any_kernel, program=wild)
def test_gate_against_whoever_does_not_wait(setting: Setting, program: Program) -> None:
    """While a tenant waits, nobody gets more than 2 Q + 3 O + 3 P more than it.

    Source: the gate of fairq; it is T3 with a smaller constant. Before the other comes
    back it can get only what it was committed to; then it is lifted, and the theorem
    holds.
    """
    try_claim(
        setting, program, "Gate, against who does not wait", Rise(three_commitments)
    )


@given(setting=any_kernel, program=wild)
def test_gate_is_near_a_fluid_server(setting: Setting, program: Program) -> None:
    """While the same tenants wait, each gets its share of what they get together.

    Per weight it is off by less than 2 (Q + O + P): by the part of it that the weight
    of the others is of all. Generalized processor sharing (Parekh and Gallager, 1993)
    would divide exactly. It follows from the theorem: who is within a distance of every
    other is within it of their mean.
    """
    try_claim(setting, program, "Gate, against a fluid server", Fluid(stated_change))


# --- the paper ----------------------------------------------------------------------


def try_claim(setting: Setting, program: Program, name: str, claim: Claim) -> None:
    Trial(setting, claim).play(program).finish(STEPS)
    aim(name, claim)


@given(setting=equal_weights, program=wild)
def test_t1_counters_of_tenants_that_wait_are_within_one_jump(
    setting: Setting, program: Program
) -> None:
    """No counter is more than U(M) + Q above another: Sheng et al., Lemma 4.3.

    U is max(w_p L, w_q M) where outputs cost as much as prompts or more, else the sum.
    """
    claim = Level(counter, one_jump)
    try_claim(setting, program, "T1 counters of two that wait", claim)


@given(setting=equal_weights, program=wild)
def test_t2_two_tenants_that_wait_get_the_same_service_but_for_two_jumps(
    setting: Setting, program: Program
) -> None:
    """Over any interval service differs by at most 2 U(M): Sheng et al., Theorem 4.4.

    With a gate and with chunks it is 2 (Q + U + P).
    """
    claim = Spread(executed, two_jumps)
    try_claim(setting, program, "T2 two backlogged tenants", claim)


@given(setting=equal_weights, program=wild)
def test_t3_who_waits_is_at_most_four_jumps_behind_anybody(
    setting: Setting, program: Program
) -> None:
    """W_f >= W_g - 4 U while f waits, whatever g does: Sheng et al., Theorem 4.9.

    With a gate and with chunks it is 4 (Q + U + P).
    """
    try_claim(setting, program, "T3 backlogged against any", Rise(four_jumps))


@given(setting=any_kernel, program=wild)
def test_t4_weights_share_service_but_for_a_jump_each(
    setting: Setting, program: Program
) -> None:
    """Service per weight differs by at most U_f / w_f + U_g / w_g.

    Source: Sheng et al., section 4.3, with the bound of start-time fair queueing. With
    a gate and with chunks 2 Q + P_f + P_g are added.
    """
    try_claim(setting, program, "T4 weights", Spread(executed, a_jump_each))


@part(2)
@given(
    blocks=st.integers(2, 40),
    block_size=st.integers(1, 4),
    discipline=disciplines,
    admission=st.sampled_from(Admission),
)
def test_t5_the_lower_bound_of_all_schedulers_is_reached(
    blocks: int, block_size: int, discipline: Discipline, admission: Admission
) -> None:
    """One tenant fills the pool before another comes: a gap of w_q M or more.

    Source: Sheng et al., Theorem 4.8: no scheduler that conserves work and takes
    nothing back does better. So the meters see gaps, and Theorem 4.4 is within a factor
    of 2.
    """
    capacity = Capacity(blocks=blocks, block_size=block_size, max_sequences=1)
    pool = blocks * block_size
    claim = Spread(executed, lambda _t, _i, _j: 10**9 * UNIT)
    trial = Trial(
        Setting(capacity, Policy(discipline=discipline, admission=admission)), claim
    )

    # The whole pool is promised, and nobody else fits before the last step.
    trial.play([Submit("f", 1, pool, 2), Submit("g", pool, 1, 2)]).finish(pool)

    assert (1 + 2 * pool) * UNIT == claim.seen
    RECORD.exact("T5 lower bound of all schedulers")


# --- dispatch -----------------------------------------------------------------------


def delays(trial: Trial, tenant: str) -> list[int]:
    """Steps that requests waited that came when their tenant had nothing live."""
    jobs = [job for job in trial.jobs.values() if job.tenant == tenant and job.alone]
    now = len(trial.work)
    return [(now if j.entered is None else j.entered) - j.since for j in jobs]


@part(2)
@given(
    workload=isolated_workloads,
    capacity=capacities,
    slack=st.sampled_from([0.0, 0.0, 6.0]),
)
def test_t11_a_flood_ten_times_as_fast_delays_others_no_longer(
    workload: list[Submit], capacity: Capacity, slack: float
) -> None:
    """A request of a tenant that has no other waits at most 2 (n-1) U / a steps.

    Source: Sheng et al., Theorem 4.11. n counts tenants, a is the least service of a
    step, and U is that of all members together, which the pool limits, so the rate of
    the others is no part of it. With a gate and with chunks U becomes Q + U + P.
    """
    for rate in (1, 10):
        setting = reserving(capacity, slack)
        trial = Trial(setting)
        for submit in workload:
            flood = submit.tenant != "f"
            count = rate * submit.count if flood else 1
            trial.play([Submit(submit.tenant, submit.prompt, submit.max_tokens, count)])
            trial.play([Plan(), Commit()] * (2 if flood else 20))
        trial.finish(2 * STEPS)
        RECORD.ratio("T11 delay until dispatch", check_delays(trial), generated=True)


def check_delays(trial: Trial) -> Fraction:
    """The largest part that a request of ``f`` waited of what it may wait."""
    capacity, books = trial.setting.capacity, trial.books.values()
    # One position more than is computed: the last output is never fed back.
    pool = capacity.blocks * capacity.block_size + capacity.max_sequences
    assert trial.tokens <= pool
    largest = max((jump(book, trial.tokens) for book in books), default=0)
    allowed = 2 * (len(books) - 1) * (trial.slack + largest + prepaid(trial))
    waited = max(delays(trial, "f"), default=0) * min(trial.work, default=0)
    assert waited <= max(0, allowed)
    return Fraction(waited, max(1, allowed))
