"""The command ``kernel``: capacity and policy as arguments, written and read."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from fairq.backend import Capacity
from fairq.cost import LinearCost
from fairq.disciplines import Discipline, Fcfs, Vtc
from fairq.policy import Admission, Policy
from fairq.testing._transcript._syntax import Arguments
from fairq.testing._transcript._words import figure, spelled

SIZES = {
    "blocks": ("blocks", 64),
    "block_size": ("block_size", 4),
    "sequences": ("max_sequences", 8),
    "tokens": ("tokens_per_step", 64),
}
"""By argument: the field of ``Capacity``, and what it is when left out."""
LIMITS = (
    "token_budget",
    "max_sequences",
    "max_waiting",
    "max_waiting_per_tenant",
)
"""Fields of ``Policy`` that are whole numbers, or ``none``."""
POLICY = ("policy", "slack", "admission", "weights", "cost", *LIMITS, "max_failures")
"""All arguments that make the policy."""


# --- writing --------------------------------------------------------------------------


def kernel_command(capacity: Capacity, policy: Policy) -> str:
    """The command that makes a kernel like this; what is usual is left out."""
    sizes = [f"{name}={getattr(capacity, SIZES[name][0])}" for name in SIZES]
    return " ".join(["kernel", *sizes, *_policy_arguments(policy)])


def _policy_arguments(policy: Policy) -> Iterator[str]:
    usual = Policy()
    yield from _discipline_arguments(policy.discipline)
    if policy.admission is not usual.admission:
        yield f"admission={policy.admission.value}"
    if policy.weights:
        weights = policy.weights.items()
        pairs = (f"{spelled(name)}:{figure(weight)}" for name, weight in weights)
        yield f"weights={','.join(pairs)}"
    if policy.cost != usual.cost:
        yield f"cost={figure(policy.cost.prompt)}:{figure(policy.cost.output)}"
    for name in (*LIMITS, "max_failures"):
        limit = getattr(policy, name)
        if limit != getattr(usual, name):
            yield f"{name}={'none' if limit is None else limit}"


def _discipline_arguments(discipline: Discipline) -> Iterator[str]:
    if type(discipline) is not Vtc:
        yield f"policy={spelled(discipline.name)}"
    elif discipline != Vtc():
        yield f"slack={figure(discipline.slack)}"


# --- reading --------------------------------------------------------------------------


def capacity_of(arguments: Arguments) -> Capacity:
    """The capacity that the arguments say."""
    return Capacity(
        **{
            field: arguments.integer(name, usual)
            for name, (field, usual) in SIZES.items()
        }
    )


def policy_of(arguments: Arguments, disciplines: Sequence[Discipline]) -> Policy:
    """The policy that the arguments say.

    Args:
        arguments: Of the command.
        disciplines: Those that can be named besides the ones of fairq.
    """
    usual = attrs.asdict(Policy(), recurse=False)
    limits = {name: arguments.limit(name, usual[name]) for name in LIMITS}
    failures = arguments.integer("max_failures", usual["max_failures"])
    return Policy(
        weights=dict(arguments.weights("weights")),
        cost=_cost(arguments),
        discipline=_discipline(arguments, {each.name: each for each in disciplines}),
        admission=_admission(arguments),
        max_failures=failures,
        **limits,
    )


def _cost(arguments: Arguments) -> LinearCost:
    usual = LinearCost()
    prompt, output = arguments.price("cost", (usual.prompt, usual.output))
    return LinearCost(prompt=prompt, output=output)


def _discipline(arguments: Arguments, others: Mapping[str, Discipline]) -> Discipline:
    name = arguments.choice("policy", (*others, "vtc", "fcfs"), "vtc")
    if name in others:
        return others[name]
    return Fcfs() if name == "fcfs" else Vtc(arguments.number("slack", 0.0))


def _admission(arguments: Arguments) -> Admission:
    names = [each.value for each in Admission]
    usual = Policy().admission.value
    return Admission(arguments.choice("admission", names, usual))
