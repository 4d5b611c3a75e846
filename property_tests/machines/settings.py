"""Where the kernel machine runs: small pools, small batches, every kind of policy."""

import attrs
from hypothesis import strategies as st

from fairq import Admission, Capacity, Fcfs, Policy, Vtc

TENANTS = ("a", "b", "c", "d")
WEIGHTS = {"a": 2.0, "b": 0.5}
MANY_WEIGHTS = {"a": 1.0, "b": 3.0, "c": 0.25, "d": 10.0}

disciplines = st.sampled_from([Vtc(), Vtc(slack=6.0), Vtc(slack=100.0), Fcfs()])
# Small, so that blocks, slots and budget run out all the time; now and then so small
# that one request is all there is room for.
capacities = st.builds(
    Capacity,
    blocks=st.sampled_from([10, 6, 8, 13, 16, 4, 2, 1]),
    block_size=st.sampled_from([2, 4, 1]),
    max_sequences=st.sampled_from([4, 5, 3, 2, 1]),
    tokens_per_step=st.sampled_from([8, 32, 5, 3, 1]),
)
policies = st.builds(
    Policy,
    weights=st.sampled_from([WEIGHTS, MANY_WEIGHTS, {}]),
    discipline=disciplines,
    admission=st.sampled_from([*Admission, Admission.OPTIMISTIC]),
    # Cut to the capacity: the token budget is what Sarathi-Serve calls tau.
    token_budget=st.sampled_from([None, None, None, 5, 2, 1]),
    max_sequences=st.sampled_from([None, None, None, 2, 1]),
    max_waiting=st.sampled_from([None, None, 6]),
    max_waiting_per_tenant=st.sampled_from([None, None, 3]),
    max_failures=st.sampled_from([2, 0]),
)


crowded_capacities = st.builds(
    Capacity,
    blocks=st.integers(5, 12),
    block_size=st.sampled_from([1, 2]),
    max_sequences=st.integers(3, 6),
    tokens_per_step=st.sampled_from([8, 32]),
)
crowded_policies = st.builds(
    Policy,
    weights=st.just(WEIGHTS),
    discipline=st.sampled_from([Vtc(slack=20.0), Vtc(), Vtc(5.0), Fcfs()]),
    admission=st.sampled_from([Admission.OPTIMISTIC, *Admission]),
    max_failures=st.sampled_from([0, 2]),
)
tiny_capacities = st.builds(
    Capacity,
    blocks=st.integers(1, 2),
    block_size=st.sampled_from([4, 8, 1]),
    max_sequences=st.sampled_from([1, 4]),
    tokens_per_step=st.sampled_from([1, 8]),
)


def within(policy: Policy, capacity: Capacity) -> Policy:
    """The policy, asking for no more than there is."""
    budget, members = policy.token_budget, policy.max_sequences
    return attrs.evolve(
        policy,
        token_budget=budget and min(budget, capacity.tokens_per_step),
        max_sequences=members and min(members, capacity.max_sequences),
    )
