"""Whose turn it is, and that somebody has one: T10, T12 and T15.

T1 to T17 are the statements about VTC (Sheng et al., "Fairness in Serving Large
Language Models", OSDI 2024) that a scheduler should be tested for.
"""

import attrs
from hypothesis import given
from hypothesis import strategies as st

from fairq import Admission, Capacity, Fcfs, Policy, Vtc
from property_tests.effort import part
from property_tests.programs import Commit, Plan, Program, Setting, Submit
from property_tests.record import RECORD
from property_tests.theorems.claims import aim
from property_tests.theorems.trial import Trial
from property_tests.theorems.turns import Gate, Planned, plans_of
from property_tests.theorems.workloads import any_kernel, disciplines, wild

STEPS: Program = [Plan(), Commit()] * 150


@given(setting=any_kernel, program=wild)
def test_t10_whoever_is_admitted_is_the_oldest_of_a_tenant_inside_the_gate(
    setting: Setting, program: Program
) -> None:
    """Never from more than Q above the smallest counter, that of a blocked tenant too.

    Source: Sheng et al., Algorithm 2 (Q = 0), and the gate of fairq. The counter of a
    tenant all of whose requests are in the plan is left out.
    """
    gate = Gate().play(Trial(setting), [*program, *STEPS])

    aim("T10 turns inside the gate", gate)


def fits_beside(trial: Trial, planned: Planned, tenant: str) -> bool:
    """Whether the oldest of a tenant could have joined, all promises kept."""
    plan = planned.plan
    entering = [] if plan is None else [trial.jobs[e.request_id] for e in plan.enter]
    jobs = [*trial.members(), *entering, trial.jobs[planned.queues[tenant][0]]]
    size = trial.setting.capacity.block_size
    blocks = sum(-(-(job.prompt + job.max_tokens - 1) // size) for job in jobs)
    budget = trial.setting.capacity.tokens_per_step
    return (
        blocks <= trial.setting.capacity.blocks
        and len(jobs) <= min(trial.setting.capacity.max_sequences, budget)
        and (0 if plan is None else plan.tokens) < budget
    )


@given(setting=any_kernel, discipline=disciplines, program=wild)
def test_t12_no_step_is_idle_or_empty_while_something_waits_and_fits(
    setting: Setting, discipline: Vtc | Fcfs, program: Program
) -> None:
    """Every step computes something while anybody lives, under every admission rule.

    Source: Sheng et al., section 3.2. With reservation no plan leaves out a request
    that fits, of a tenant that is inside the gate.
    """
    policy = attrs.evolve(setting.policy, discipline=discipline)
    trial = Trial(attrs.evolve(setting, policy=policy))

    for planned in plans_of(trial, [*program, *STEPS]):
        assert (planned.plan is None) == (not trial.live)
        assert planned.plan is None or planned.plan.tokens > 0
        if policy.admission is Admission.RESERVE:
            for tenant in in_turn(trial, planned):
                assert not fits_beside(trial, planned, tenant)
    RECORD.exact("T12 work conservation")


def in_turn(trial: Trial, planned: Planned) -> list[str]:
    """The tenants that may go next: inside the gate, or with the oldest request."""
    queues, counters = planned.queues, planned.counters
    if isinstance(trial.setting.policy.discipline, Fcfs):
        return sorted(queues, key=lambda tenant: queues[tenant])[:1]
    lowest = min((counters[tenant] for tenant in queues), default=0)
    return [name for name in queues if counters[name] <= lowest + trial.slack]


@part(2)
@given(
    tenants=st.integers(2, 5),
    each=st.integers(1, 3),
    alone=st.booleans(),
    prompt=st.integers(1, 9),
    max_tokens=st.integers(1, 9),
)
def test_t15_equal_requests_of_equal_tenants_go_round_robin(
    tenants: int, each: int, prompt: int, max_tokens: int, *, alone: bool
) -> None:
    """When as many fit at once as make whole rounds, or one.

    Source: Sheng et al., section 4.1.
    """
    slots = 1 if alone else tenants * each
    capacity = Capacity(blocks=1_000, block_size=1, max_sequences=slots)
    trial = Trial(Setting(capacity, Policy(admission=Admission.RESERVE)))
    names = [f"t{number}" for number in range(tenants)]

    trial.play([Submit(name, prompt, max_tokens, 3 * each) for name in names]).finish()

    jobs = sorted(trial.jobs.values(), key=lambda job: job.latest)
    assert 3 * each * names == [job.tenant for job in jobs]
    RECORD.exact("T15 round robin")
