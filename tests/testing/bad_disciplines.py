"""Disciplines that are wrong, each in one way."""

from itertools import count
from typing import Any, cast

from fairq.disciplines import TenantView
from fairq.testing._discipline import _obligations as owed
from fairq.testing._obligations import Obligation


class Base:
    """By arrival, without a gate; each of those below spoils one thing."""

    @property
    def name(self) -> str:
        return "base"

    @property
    def slack(self) -> float | None:
        return None

    def turn(self, tenant: TenantView) -> int:
        return tenant.oldest


class Shouting(Base):
    """Has no word for a name."""

    @property
    def name(self) -> str:
        return "First Come!"


class Renamed(Base):
    """Has another name each time."""

    names = count()

    @property
    def name(self) -> str:
        return f"name{next(self.names)}"


class Negative(Base):
    """Has a slack below 0."""

    @property
    def slack(self) -> float:
        return -1.0


class Endless(Base):
    """Has a slack that no policy takes."""

    @property
    def slack(self) -> float:
        return 1e30


class Widening(Base):
    """Has more slack each time."""

    slacks = count(1)

    @property
    def slack(self) -> float:
        return float(next(self.slacks))

    def turn(self, tenant: TenantView) -> int:
        return tenant.counter


class Overflowing(Base):
    """Cannot do with large counters."""

    def turn(self, tenant: TenantView) -> int:
        return int.from_bytes(tenant.counter.to_bytes(8, "big"), "big")


class Dividing(Base):
    """Cannot do with the first request of all."""

    def turn(self, tenant: TenantView) -> int:
        return -(10**40) // tenant.oldest


class Peeking(Base):
    """Wants to know who it is."""

    def turn(self, tenant: TenantView) -> int:
        return len(cast("Any", tenant).name)


class Writing(Base):
    """Sets counters back."""

    def turn(self, tenant: TenantView) -> int:
        cast("Any", tenant).counter = 0
        return 0


class Float(Base):
    """Counts in service units."""

    def turn(self, tenant: TenantView) -> int:
        return cast("int", tenant.counter / 2**32)


class Truth(Base):
    """Says whether it was served."""

    def turn(self, tenant: TenantView) -> int:
        return tenant.counter > 0


class Drawing(Base):
    """Says something else each time."""

    def turn(self, tenant: TenantView) -> int:
        del tenant
        return next(NUMBERS) * 7919 % 1000


class Remembering(Base):
    """Goes by who asked first."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}

    def turn(self, tenant: TenantView) -> int:
        return self.seen.setdefault(id(tenant), len(self.seen))


class LastCome(Base):
    """Serves the newest first."""

    def turn(self, tenant: TenantView) -> int:
        return -tenant.oldest


class MostServed(Base):
    """Serves the one that had most."""

    def turn(self, tenant: TenantView) -> int:
        return -tenant.counter


class Gateless(Base):
    """Has a slack and goes by arrival."""

    @property
    def slack(self) -> float:
        return 8.0


class Backwards(Base):
    """Goes by the counter in steps within its slack, and inside them by arrival."""

    width = 9

    @property
    def slack(self) -> float:
        return 8.0

    def turn(self, tenant: TenantView) -> int:
        return 10 * (tenant.counter >> 32) + min(tenant.oldest, 9)


class Coarse(Base):
    """Goes by the counter, in steps that are wider than its slack."""

    width = 0

    @property
    def slack(self) -> float:
        return 8.0

    def turn(self, tenant: TenantView) -> int:
        return tenant.counter >> 36


class LeastServed(Base):
    """Serves the one that had least, and lifts nobody."""

    def turn(self, tenant: TenantView) -> int:
        return tenant.counter


class Billing(Base):
    """Charges for being asked, where it can."""

    def turn(self, tenant: TenantView) -> int:
        if hasattr(tenant, "prompt_tokens"):
            tenant.prompt_tokens += 1
        return tenant.oldest


class Lowering(Base):
    """Takes lifts back, where it can."""

    @property
    def slack(self) -> float:
        return 8.0

    def turn(self, tenant: TenantView) -> int:
        if hasattr(tenant, "lifted"):
            tenant.lifted = 0
        return tenant.counter


class Pretending(Base):
    """Has a gate on the counter for those who check, and goes by arrival."""

    @property
    def slack(self) -> float:
        return 0.0

    def turn(self, tenant: TenantView) -> int:
        return tenant.oldest if hasattr(tenant, "waiting") else tenant.counter


class Alternating(Base):
    """Every other one goes by service, in a kernel."""

    def __init__(self) -> None:
        self.number = next(NUMBERS)

    def turn(self, tenant: TenantView) -> int:
        hidden = hasattr(tenant, "waiting") and self.number % 2
        return tenant.counter if hidden else tenant.oldest


class Surprised(Base):
    """Raises when it meets somebody who waits."""

    def turn(self, tenant: TenantView) -> int:
        if hasattr(tenant, "waiting"):
            raise LookupError(tenant.oldest)
        return tenant.oldest


NUMBERS = count()
BAD: dict[type[Base], tuple[Obligation, str]] = {
    Shouting: (owed.NAME, "'First Come!'"),
    Renamed: (owed.NAME, "again"),
    Negative: (owed.SLACK, "Got: -1.0"),
    Widening: (owed.SLACK, "again"),
    Endless: (owed.SHAPE, "slack None or 0 to 1e+18"),
    Overflowing: (owed.RAISES, "OverflowError"),
    Dividing: (owed.RAISES, "ZeroDivisionError"),
    Peeking: (owed.VIEW, "has no attribute 'name'"),
    Writing: (owed.VIEW, "it tried to change them"),
    Float: (owed.INTEGER, "(float)"),
    Truth: (owed.INTEGER, "(bool)"),
    Drawing: (owed.PURE, "each time"),
    Remembering: (owed.PURE, "each time"),
    LastCome: (owed.FALLS, "Got: -1"),
    MostServed: (owed.FALLS, "Got: -1"),
    Gateless: (owed.GATE, "Got: 0"),
    Backwards: (owed.GATE, "Expected: at most "),
    Coarse: (owed.GATE, "Expected: more than 0 for counter="),
    LeastServed: (owed.WAITS, "tenant a waited for"),
    Billing: (owed.CHARGES, "is charged for Books("),
    Lowering: (owed.LIFT, "joins at"),
    Pretending: (owed.BOUND, "a gap of at most"),
    Alternating: (owed.SAME, "the same plans again"),
    Surprised: (owed.RAISES, "LookupError: 0"),
}
