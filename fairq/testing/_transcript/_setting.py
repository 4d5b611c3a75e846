"""The command ``kernel``: capacity and policy as arguments, written and read."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from fairq.backend import Capacity
from fairq.cost import LinearCost
from fairq.disciplines import Discipline, Dlpm, Fcfs, Lpm, Vtc
from fairq.order import Order
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache
from fairq.testing._transcript._syntax import Arguments
from fairq.testing._transcript._words import figure, spelled

SIZES = {
    "blocks": ("blocks", 64),
    "block_size": ("block_size", 4),
    "sequences": ("max_sequences", 8),
    "tokens": ("tokens_per_step", 64),
}
"""By argument: the field of ``Capacity``, and what it is when left out."""
CAPACITY = (*SIZES, "sharing")
"""All arguments that make the capacity."""
LIMITS = (
    "token_budget",
    "max_sequences",
    "max_waiting",
    "max_waiting_per_tenant",
)
"""Fields of ``Policy`` that are whole numbers, or ``none``."""
COUNTS = ("max_failures", "patience")
"""Fields of ``Policy`` that are whole numbers."""
CACHE_COUNTS = ("max_wait", "max_pinned_blocks")
"""Fields of ``PrefixCache`` that are whole numbers."""
POLICY = (
    *("policy", "slack", "quantum", "admission", "order", "weights", "cost"),
    *("commitment", "prefix_cache", *CACHE_COUNTS, *LIMITS, *COUNTS),
)
"""All arguments that make the policy."""
PRICES = ("prompt", "output", "cached")
"""Fields of ``LinearCost``."""
T = TypeVar("T", Capacity, Policy, PrefixCache, LinearCost)


# --- writing --------------------------------------------------------------------------


def kernel_command(capacity: Capacity, policy: Policy) -> str:
    """The command that makes a kernel like this; what is usual is left out."""
    sizes = [f"{name}={getattr(capacity, SIZES[name][0])}" for name in SIZES]
    if capacity.prefix_cache:
        sizes.append("sharing=yes")
    return " ".join(["kernel", *sizes, *_policy_arguments(policy)])


def _policy_arguments(policy: Policy) -> Iterator[str]:
    usual = Policy()
    yield from _discipline_arguments(policy.discipline)
    if policy.admission is not usual.admission:
        yield f"admission={policy.admission.value}"
    if policy.order is not usual.order:
        yield f"order={policy.order.value}"
    if policy.weights:
        weights = policy.weights.items()
        pairs = (f"{spelled(name)}:{figure(weight)}" for name, weight in weights)
        yield f"weights={','.join(pairs)}"
    if policy.cost != usual.cost:
        yield f"cost={_prices(policy.cost)}"
    if policy.commitment is not None:
        yield f"commitment={figure(policy.commitment)}"
    yield from _cache_arguments(policy.prefix_cache)
    for name in (*LIMITS, *COUNTS):
        limit = getattr(policy, name)
        if limit != getattr(usual, name):
            yield f"{name}={'none' if limit is None else limit}"


def _prices(cost: LinearCost) -> str:
    prices = [cost.prompt, cost.output]
    if cost.cached != LinearCost().cached:
        prices.append(cost.cached)
    return ":".join(map(figure, prices))


def _discipline_arguments(discipline: Discipline) -> Iterator[str]:
    if isinstance(discipline, Dlpm) and type(discipline) is Dlpm:
        yield f"policy=dlpm quantum={figure(discipline.quantum)}"
    elif type(discipline) is not Vtc:
        yield f"policy={spelled(discipline.name)}"
    elif discipline != Vtc():
        yield f"slack={figure(discipline.slack)}"


def _cache_arguments(cache: PrefixCache | None) -> Iterator[str]:
    if cache is None:
        yield "prefix_cache=off"
        return
    if cache.everybody:
        yield "prefix_cache=everybody"
    elif cache.groups:
        groups = cache.groups.items()
        pairs = (f"{spelled(name)}:{spelled(group)}" for name, group in groups)
        yield f"prefix_cache={','.join(pairs)}"
    for name in CACHE_COUNTS:
        if getattr(cache, name) != getattr(PrefixCache(), name):
            yield f"{name}={getattr(cache, name)}"


# --- reading --------------------------------------------------------------------------


def capacity_of(arguments: Arguments) -> Capacity:
    """The capacity that the arguments say."""
    sizes = {
        field: arguments.integer(name, usual) for name, (field, usual) in SIZES.items()
    }
    sharing = arguments.choice("sharing", ("no", "yes"), "no") == "yes"
    return _changed(Capacity(blocks=1, prefix_cache=sharing), sizes)


def policy_of(arguments: Arguments, disciplines: Sequence[Discipline]) -> Policy:
    """The policy that the arguments say.

    Args:
        arguments: Of the command.
        disciplines: Those that can be named besides the ones of fairq.
    """
    usual = attrs.asdict(Policy(), recurse=False)
    limits = {name: arguments.limit(name, usual[name]) for name in LIMITS}
    counts = {name: arguments.integer(name, usual[name]) for name in COUNTS}
    policy = Policy(
        weights=dict(arguments.weights("weights")),
        cost=_cost(arguments),
        discipline=_discipline(arguments, {each.name: each for each in disciplines}),
        admission=_admission(arguments),
        order=_order(arguments),
        prefix_cache=_cache(arguments),
        commitment=arguments.service("commitment", None),
    )
    return _changed(policy, limits | counts)


def _changed(value: T, fields: Mapping[str, Any]) -> T:
    """A value with other fields, of which mypy cannot know the types."""
    return attrs.evolve(value, **fields)


def _cost(arguments: Arguments) -> LinearCost:
    usual = LinearCost()
    given = arguments.prices("cost", (usual.prompt, usual.output))
    return _changed(usual, dict(zip(PRICES, given, strict=False)))


def _discipline(arguments: Arguments, others: Mapping[str, Discipline]) -> Discipline:
    """One of fairq, or another; who passes one of the same name means that."""
    own: dict[str, Callable[[], Discipline]] = {
        "vtc": lambda: Vtc(arguments.number("slack", 0.0)),
        "fcfs": Fcfs,
        "lpm": Lpm,
        "dlpm": lambda: Dlpm(arguments.number("quantum", 0.0)),
    }
    name = arguments.choice("policy", (*others, *own), "vtc")
    return others[name] if name in others else own[name]()


def _admission(arguments: Arguments) -> Admission:
    names = [each.value for each in Admission]
    usual = Policy().admission.value
    return Admission(arguments.choice("admission", names, usual))


def _order(arguments: Arguments) -> Order:
    names = [each.value for each in Order]
    return Order(arguments.choice("order", names, Policy().order.value))


def _cache(arguments: Arguments) -> PrefixCache | None:
    """Whose prefixes are shared: ``off``, ``own``, ``everybody``, or groups."""
    whose = arguments.text("prefix_cache", "own")
    if whose == "off":
        return None
    cache = PrefixCache(everybody=whose == "everybody")
    if whose not in ("own", "everybody"):
        cache = PrefixCache(groups=arguments.groups("prefix_cache"))
    usual = attrs.asdict(cache, recurse=False)
    counts = {name: arguments.integer(name, usual[name]) for name in CACHE_COUNTS}
    return _changed(cache, counts)
