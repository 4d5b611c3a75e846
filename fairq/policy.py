"""What the operator decides: weights, prices, order, limits."""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
from attrs.validators import optional

from fairq._validators import (
    check_type,
    fail,
    instance_of,
    integer,
    is_finite,
    is_text,
    number,
    optional_integer,
)
from fairq.cost import SCALE, LinearCost
from fairq.disciplines import Discipline, Vtc
from fairq.order import Order
from fairq.prefix_cache import PrefixCache

__all__ = ["Admission", "Policy"]

LEAST_PRICE: Final = 2**10
"""A price of at least this many counter units is rounded by less than 0.05 %."""
MOST_PRICE: Final = 2**63
"""Far beyond any use, and far from what a float cannot hold."""
MOST_SLACK: Final = 1e18
"""More service than anybody will ever get."""


class Admission(enum.Enum):
    """When a request may join the batch."""

    OPTIMISTIC = "optimistic"
    """Blocks for the prompt now, for the output as it grows, against a forecast of how
    long outputs get. When blocks run out, the newest request of the tenant with the
    largest counter is preempted and computed again later."""

    RESERVE = "reserve"
    """Blocks for prompt and ``max_tokens`` of everybody in the batch fit at once. Never
    preempts; needs honest ``max_tokens`` to fill the machine."""


def _frozen(weights: Mapping[str, float]) -> Mapping[str, float]:
    check_type(weights, Mapping, "Policy.weights")
    return MappingProxyType(dict(weights))


@attrs.frozen(kw_only=True)
class Policy:
    """How requests are ordered, admitted, limited and charged.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    weights: Mapping[str, float] = attrs.field(factory=dict, converter=_frozen)
    """Share of each tenant relative to the others, finite and > 0; tenants that are
    not named have weight 1. Weight 4 gets four times the service of weight 1 while
    both are backlogged."""

    cost: LinearCost = attrs.field(
        factory=LinearCost, validator=instance_of(LinearCost)
    )
    """Price of prompt and output tokens, in service units."""

    discipline: Discipline = attrs.field(factory=Vtc)
    """Order of the tenants, and the slack of the gate."""

    admission: Admission = attrs.field(
        default=Admission.OPTIMISTIC, validator=instance_of(Admission)
    )
    """When a request may join the batch."""

    order: Order = attrs.field(default=Order.FIFO, validator=instance_of(Order))
    """What goes first among the requests that the gate lets through."""

    patience: int = attrs.field(default=64, validator=integer(0, "requests"))
    """Most requests of a tenant that are admitted before its oldest, which ``order``
    would leave behind; 0 is FIFO inside a tenant. Those that go ahead of it while its
    prefix is being computed do not count."""

    prefix_cache: PrefixCache | None = attrs.field(
        factory=PrefixCache, validator=optional(instance_of(PrefixCache))
    )
    """Who shares the KV of common prefixes, where the backend can
    (``Capacity.prefix_cache``); None for nobody."""

    commitment: float | None = attrs.field(
        default=None, validator=optional(number(0, "service units", exclusive=True))
    )
    """Most service that one tenant may be committed to: prompts admitted but not
    computed, and outputs its members may still produce, per unit of weight. It is O in
    the bound 2 (Q + O + P + S), but for its parts of shared prefixes. A tenant with
    nothing in the batch may always have one request. None for no limit: what was
    reached is measured."""

    token_budget: int | None = attrs.field(
        default=None, validator=optional_integer(1, "tokens per step")
    )
    """Most positions computed in one step; None for what the backend can. Smaller makes
    steps shorter, and so the gap between two tokens of a running stream; larger makes
    prompts faster. (The tau of Sarathi-Serve, OSDI 2024.)"""

    max_sequences: int | None = attrs.field(
        default=None, validator=optional_integer(1, "sequences")
    )
    """Most sequences in the batch; None for what the backend can."""

    max_waiting: int | None = attrs.field(
        default=100_000, validator=optional_integer(1, "requests")
    )
    """Most requests that wait, of all tenants; one more is rejected (retryable). None
    for no limit. Preempted requests wait too and count, but are never rejected."""

    max_waiting_per_tenant: int | None = attrs.field(
        default=10_000, validator=optional_integer(1, "requests")
    )
    """The same for each single tenant."""

    max_failures: int = attrs.field(default=3, validator=integer(0, "failed steps"))
    """Failed steps in a row that a request may be in; one more and it is given up. 0
    gives up at the first, 3 at the fourth."""

    @weights.validator
    def _check_weights(
        self, attribute: "attrs.Attribute[object]", weights: Mapping[str, float]
    ) -> None:
        for tenant, weight in weights.items():
            if not is_text(tenant):
                fail(self, attribute, tenant, "keyed by tenant names")
            if not is_finite(weight) or weight <= 0:
                expected = f"finite and > 0 for every tenant ({tenant!r} is not)"
                fail(self, attribute, weight, expected)

    @discipline.validator
    def _check_discipline(
        self, attribute: "attrs.Attribute[object]", discipline: Discipline
    ) -> None:
        parts = ("name", "slack", "turn")
        if isinstance(discipline, type) or not all(
            hasattr(discipline, part) for part in parts
        ):
            fail(self, attribute, discipline, "a discipline such as Vtc() or Fcfs()")
        slack = discipline.slack
        if slack is not None and not (is_finite(slack) and 0 <= slack <= MOST_SLACK):
            expected = f"a discipline with slack None or 0 to {MOST_SLACK:g}"
            fail(self, attribute, discipline, expected)

    def __attrs_post_init__(self) -> None:
        for weight in (1.0, *self.weights.values()):
            self._check_price("output", self.cost.output, weight)
            if self.cost.prompt:
                self._check_price("prompt", self.cost.prompt, weight)
            if self.cost.cached:
                self._check_price("cached", self.cost.cached, weight)

    def __reduce__(self) -> tuple[object, ...]:
        # A read-only view of weights cannot be pickled; what it shows can.
        fields = attrs.asdict(self, recurse=False)
        return _restore, (fields | {"weights": dict(self.weights)},)

    def _check_price(self, kind: str, cost: float, weight: float) -> None:
        """Refuse what cannot be charged exactly, or not as an integer at all."""
        counted = SCALE * cost / weight
        if not LEAST_PRICE <= counted <= MOST_PRICE:
            expected = (
                f"such that one {kind} token (cost.{kind}={cost!r}) divided by "
                f"the weight is 2**-22 to 2**31 service units"
            )
            fail(self, attrs.fields(Policy).weights, weight, expected)

    def weight(self, tenant: str) -> float:
        """The weight of a tenant; 1 when it was not named."""
        return self.weights.get(tenant, 1.0)


def _restore(fields: dict[str, Any]) -> Policy:
    return Policy(**fields)
