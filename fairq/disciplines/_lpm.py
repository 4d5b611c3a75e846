"""Longest prefix match for everybody: what cache-aware servers do; to compare with.

Source: the order of SGLang (Zheng et al., 2023). Used with ``Order.PREFIX``.
"""

from typing import Final

import attrs

from fairq.disciplines._protocol import TenantView

EVERYBODY: Final = 2**200
"""Wider than any turn."""


@attrs.frozen
class Lpm:
    """All tenants may go ahead of one another. Unfair: there is no bound on any gap."""

    slack: None = attrs.field(default=None, init=False)
    width: int = attrs.field(default=EVERYBODY, init=False)
    name: str = attrs.field(default="lpm", init=False)

    def turn(self, tenant: TenantView) -> int:
        """The arrival of the oldest request."""
        return tenant.oldest
