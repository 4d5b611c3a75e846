"""The gate's rules in plain fractions, for any number of tenants.

It shares nothing with the solver's encoding: what the solver claims to be a
counterexample is run here, and has to be one.
"""

from enum import Enum, auto
from fractions import Fraction

import attrs


class Rule(Enum):
    """What the lemma of the gate supposes; each can be dropped."""

    LIFT = auto()
    """Who begins to wait is lifted to the floor."""
    LIFT_OF_RUNNING = auto()
    """Also with members running."""
    LAST_LEFT = auto()
    """When nobody waits, the floor rises to the counter of who left last."""
    GATE = auto()
    """Who is admitted is within the slack of the smallest counter that waits."""
    COMMITMENT = auto()
    """No admission commits a tenant to more than O."""
    PREPAID = auto()
    """Between steps nobody has more than P prepaid."""
    REFUND_OF_BOTH = auto()
    """A refund lowers the prepaid part as well as the counter."""
    FLOOR_FIRST = auto()
    """A refund finds the floor up to date."""
    IN_ORDER = auto()
    """Who is admitted finds the prompts of all members computed."""


class Kind(Enum):
    """What can happen."""

    ARRIVE = auto()
    ADMIT = auto()
    ADMIT_LAST = auto()
    OUTPUT = auto()
    COMPUTE = auto()
    REFUND = auto()
    DEPART = auto()


@attrs.frozen
class Happening:
    """One move of a story."""

    kind: Kind
    subject: int
    amount: Fraction
    """Of a prompt, an output, a computation or a refund."""
    chunk: Fraction
    """Computed with an admission."""
    outputs: Fraction
    """Granted by an admission."""


@attrs.define
class Counted:
    """One tenant."""

    counter: Fraction = Fraction(0)
    prepaid: Fraction = Fraction(0)
    owed: Fraction = Fraction(0)
    waits: bool = False

    @property
    def executed(self) -> Fraction:
        return self.counter - self.prepaid


class Story:
    """Runs happenings, asserting that each is allowed by the rules that hold."""

    def __init__(
        self, slack: Fraction, most: Fraction, ahead: Fraction, dropped: frozenset[Rule]
    ) -> None:
        self.slack, self.most, self.ahead = slack, most, ahead
        self.dropped = dropped
        self.tenants = [Counted() for _ in range(3)]
        self.floor = Fraction(0)
        self.left_last: Counted | None = None

    def tell(self, happenings: list[Happening]) -> "Story":
        for happening in happenings:
            self._happen(happening)
        return self

    def largest_gap(self, *, charged: bool = False) -> Fraction:
        """Between two that wait now."""
        waiting = [t for t in self.tenants if t.waits]
        seen = [t.counter if charged else t.executed for t in waiting]
        return max(seen) - min(seen)

    def _holds(self, rule: Rule) -> bool:
        return rule not in self.dropped

    def _happen(self, now: Happening) -> None:
        tenant = self.tenants[now.subject]
        assert min(now.amount, now.chunk, now.outputs) >= 0
        match now.kind:
            case Kind.ARRIVE:
                self._arrive(tenant)
            case Kind.ADMIT | Kind.ADMIT_LAST:
                self._admit(tenant, now)
                if now.kind is Kind.ADMIT_LAST:
                    self._leave(tenant)
            case Kind.OUTPUT:
                assert now.amount <= tenant.owed
                tenant.counter += now.amount
                tenant.owed -= now.amount
            case Kind.COMPUTE:
                assert now.amount <= tenant.prepaid
                tenant.prepaid -= now.amount
            case Kind.REFUND:
                self._refund(tenant, now.amount)
            case Kind.DEPART:
                self._leave(tenant)

    def _arrive(self, tenant: Counted) -> None:
        assert not tenant.waits
        self._raise_floor()
        runs = bool(tenant.owed or tenant.prepaid)
        spared = runs and not self._holds(Rule.LIFT_OF_RUNNING)
        if self._holds(Rule.LIFT) and not spared:
            tenant.counter = max(tenant.counter, self.floor)
        tenant.waits = True

    def _admit(self, tenant: Counted, now: Happening) -> None:
        assert tenant.waits
        lowest = min(t.counter for t in self.tenants if t.waits)
        if self._holds(Rule.GATE):
            assert tenant.counter <= lowest + self.slack
        if self._holds(Rule.IN_ORDER):
            others = [t for t in self.tenants if not t.waits]
            assert not any(t.prepaid for t in others)
        tenant.counter += now.amount
        tenant.prepaid += now.amount - now.chunk
        tenant.owed += now.outputs
        assert tenant.prepaid >= 0
        if self._holds(Rule.PREPAID):
            assert tenant.prepaid <= self.ahead
        if self._holds(Rule.COMMITMENT):
            assert now.amount + tenant.owed <= self.most

    def _refund(self, tenant: Counted, amount: Fraction) -> None:
        assert amount <= tenant.prepaid
        if self._holds(Rule.FLOOR_FIRST):
            self._raise_floor()
        tenant.counter -= amount
        if self._holds(Rule.REFUND_OF_BOTH):
            tenant.prepaid -= amount

    def _leave(self, tenant: Counted) -> None:
        assert tenant.waits
        tenant.waits = False
        self.left_last = tenant

    def _raise_floor(self) -> None:
        waiting = [t.counter for t in self.tenants if t.waits]
        if waiting:
            self.floor = max(self.floor, min(waiting))
        elif self.left_last is not None and self._holds(Rule.LAST_LEFT):
            self.floor = max(self.floor, self.left_last.counter)
