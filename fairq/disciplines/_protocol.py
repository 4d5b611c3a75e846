"""What a discipline is asked, and what it may look at."""

from typing import Protocol


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
    With a gate it must be the counter: that is what the gate measures and the bound is
    about. It must not raise.
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
