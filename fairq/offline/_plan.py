"""What the planner of a whole job found: groups in the order in which to run them."""

import attrs

from fairq.offline._group import OfflineGroup

__all__ = ["OfflinePlan"]


@attrs.frozen(kw_only=True)
class OfflinePlan:
    """Groups in the order in which to run them, and what that saves."""

    groups: tuple[OfflineGroup, ...]
    """Every request is in exactly one. Those with most output tokens for each prompt
    token to compute come first: their decodes leave room in steps that the prompts of
    the later ones fill."""

    logical_tokens: int
    """Tokens of all prompts together."""

    order: tuple[int, ...] = attrs.field(init=False, repr=False)
    """Indices of all requests, group after group: the order in which to submit."""

    saved_tokens: int = attrs.field(init=False)
    """Prompt tokens that need not be computed, if the prefix of each group is kept
    from its first member to its last."""

    @order.default
    def _members(self) -> tuple[int, ...]:
        return tuple(index for group in self.groups for index in group.members)

    @saved_tokens.default
    def _saved(self) -> int:
        return sum(group.saved_tokens for group in self.groups)

    @property
    def saving(self) -> float:
        """``saved_tokens`` as a fraction of ``logical_tokens``; 0.0 of no tokens."""
        return self.saved_tokens / self.logical_tokens if self.logical_tokens else 0.0
