"""Deficit longest prefix match: rounds of one quantum, any order inside a round.

Source: S. Cao et al., "Locality-aware Fair Scheduling in LLM Serving" (2025). There a
tenant has a deficit, which falls by what it is served; who has none left is skipped,
and when nobody who waits has any, everybody gets a quantum more. For tenants that keep
waiting the number of refills is the same, so a tenant has deficit left exactly while
its counter is in the lowest round of ``quantum`` that a waiting tenant is in; that is
how it is computed here, and it needs no state. What the paper leaves open is decided by
the counters: a tenant that returns is lifted into the lowest round and keeps what it
was served beyond that (leaving forgives no debt); a plan that admits nobody ends; and
who does not fit is passed only inside the round.
"""

import attrs

from fairq._validators import number
from fairq.cost import SCALE
from fairq.disciplines._protocol import TenantView


@attrs.frozen
class Dlpm:
    """Rounds of a quantum of service; used with ``Order.PREFIX``.

    Inside a round tenants are equal. So it is the gate of ``Vtc(slack=quantum)`` with
    edges that stand still: at the beginning of a round both let the same tenants
    through, later it lets fewer. With a quantum of 0 it is ``Vtc()``.

    Raises:
        UsageError: the quantum is negative or not finite.
    """

    quantum: float = attrs.field(validator=number(0, "service units per weight"))
    """Length of a round, in service units per unit of weight, >= 0."""

    width: int = attrs.field(default=0, init=False)
    name: str = attrs.field(default="dlpm", init=False)

    @property
    def slack(self) -> float:
        """The quantum: how far above the smallest counter somebody may be admitted."""
        return self.quantum

    def turn(self, tenant: TenantView) -> int:
        """The number of the round that its counter is in."""
        return tenant.counter // max(1, round(SCALE * self.quantum))
