"""Who may share the KV of a common prefix, and how much of it is kept for good."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from fairq._validators import check_type, fail, integer, is_text

__all__ = ["PrefixCache"]


def _frozen(groups: Mapping[str, str]) -> Mapping[str, str]:
    check_type(groups, Mapping, "PrefixCache.groups")
    return MappingProxyType(dict(groups))


@attrs.frozen(kw_only=True)
class PrefixCache:
    """Full KV blocks are kept and found again by the tokens they hold.

    A shared cache is a side channel: who gets an answer sooner than a prompt of that
    length should, learns that somebody sent this prefix before. So each tenant has a
    cache of its own unless this says otherwise. Requests with different
    ``Request.adapter`` never share, whatever is said here.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    groups: Mapping[str, str] = attrs.field(factory=dict, converter=_frozen)
    """Tenants that trust one another: the name of the group whose cache a tenant uses.
    A tenant that is not named has its own."""

    everybody: bool = attrs.field(default=False)
    """One cache for all tenants; ``groups`` must be empty then."""

    max_wait: int = attrs.field(default=8, validator=integer(0, "steps"))
    """Most plans in which a request is held back because another one is just computing
    a prefix of it, >= 0; those whose steps fail count. Others go ahead meanwhile."""

    max_pinned_blocks: int = attrs.field(default=0, validator=integer(0, "KV blocks"))
    """Most blocks that ``Kernel.pin`` may keep from eviction. So much smaller is the
    largest request that is accepted."""

    @groups.validator
    def _check_groups(
        self, attribute: "attrs.Attribute[object]", groups: Mapping[str, str]
    ) -> None:
        for tenant, group in groups.items():
            if not is_text(tenant) or not is_text(group):
                expected = "names of groups by names of tenants, none of them empty"
                fail(self, attribute, dict(groups), expected)

    @everybody.validator
    def _check_everybody(
        self, attribute: "attrs.Attribute[object]", everybody: object
    ) -> None:
        if not isinstance(everybody, bool):
            fail(self, attribute, everybody, "True or False")
        if everybody and self.groups:
            fail(self, attribute, everybody, "False where there are groups")

    def namespace(self, tenant: str, adapter: str | None) -> tuple[object, ...]:
        """What must be equal for two requests to share: domain, name and adapter."""
        if self.everybody:
            return ("everybody", adapter)
        group = self.groups.get(tenant)
        if group is not None:
            return ("group", group, adapter)
        return ("tenant", tenant, adapter)

    def __reduce__(self) -> tuple[object, ...]:
        # A read-only view cannot be pickled; what it shows can.
        fields = attrs.asdict(self, recurse=False)
        return _restore, (fields | {"groups": dict(self.groups)},)


def _restore(fields: dict[str, Any]) -> PrefixCache:
    return PrefixCache(**fields)
