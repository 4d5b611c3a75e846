"""What a discipline is asked, and what it may look at."""

from typing import Any, Protocol

from fairq.cost import SCALE


class TenantView(Protocol):
    """What a discipline may look at: a backlogged tenant, as a plan sees it."""

    @property
    def counter(self) -> int:
        """Service charged to it, divided by its weight, in 1/SCALE; never negative."""
        ...

    @property
    def oldest(self) -> int:
        """Number of its oldest waiting request: requests are numbered by arrival."""
        ...


class Discipline(Protocol):
    """The order in which tenants are served. Stateless and pure.

    ``turn`` must not fall while requests of the tenant are admitted or served: the
    kernel keeps tenants in a heap of lower bounds and looks again only at the top.
    With a gate it must be the counter, or the counter in whole steps no larger than the
    slack: that is what the gate measures and the bound is about. It must not raise.

    It may also have ``width: int | None``: how far the turn of a tenant that goes ahead
    may be above the first one's, or None for nobody goes ahead. Left out, it is the
    slack.
    """

    @property
    def name(self) -> str:
        """What reports and errors call it; one lower-case word."""
        ...

    @property
    def slack(self) -> float | None:
        """Width of the gate, or None for no gate.

        In service units per unit of weight, >= 0. With a gate, tenants whose turn is
        within the slack of the first may pass a request of it that does not fit;
        without one, it holds back everybody behind it.
        """
        ...

    def turn(self, tenant: TenantView) -> int:
        """Smaller goes first. Called O(log tenants) times per admission."""
        ...


def width(discipline: Discipline) -> int | None:
    """How far above the first turn a turn may be to go ahead; None for not at all."""
    slack = discipline.slack
    standard = None if slack is None else round(SCALE * slack)
    found: Any = getattr(discipline, "width", standard)
    return None if found is None else int(found)
