"""First come, first served: what nearly every LLM server does; here to compare with."""

import attrs

from fairq.disciplines._protocol import TenantView


@attrs.frozen
class Fcfs:
    """One queue for everybody, by arrival. Unfair: there is no bound on any gap."""

    slack: None = attrs.field(default=None, init=False)
    name: str = attrs.field(default="fcfs", init=False)

    def turn(self, tenant: TenantView) -> int:
        """The arrival of the oldest request."""
        return tenant.oldest
