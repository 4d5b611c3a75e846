"""Virtual token counters: serve the tenant that had least, relative to its weight.

Source: Y. Sheng et al., "Fairness in Serving Large Language Models", OSDI 2024. The
gate widens it: with slack 0 only the tenants with the smallest counter are admitted,
with slack Q those within Q of it may pass a request that does not fit.
"""

import attrs

from fairq._validators import number
from fairq.disciplines._protocol import TenantView


@attrs.frozen
class Vtc:
    """Weighted fair sharing of service between backlogged tenants.

    Raises:
        UsageError: the slack is negative or not finite.
    """

    slack: float = attrs.field(
        default=0.0, validator=number(0, "service units per unit of weight")
    )
    """How far above the smallest counter a tenant may be and still be admitted. It
    buys utilisation when a large request does not fit, and costs twice itself in the
    bound on the service gap."""

    name: str = attrs.field(default="vtc", init=False)

    def turn(self, tenant: TenantView) -> int:
        """The virtual counter."""
        return tenant.counter
