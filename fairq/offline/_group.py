"""One group of a job: requests that begin with the same prefix, computed once."""

import attrs

__all__ = ["OfflineGroup"]


@attrs.frozen(kw_only=True)
class OfflineGroup:
    """Requests to run together, so that what they share is computed once."""

    prefix_tokens: int
    """Leading tokens that all members share, a multiple of the block size and shorter
    than every member's prompt. 0 for a request that shares nothing."""

    members: tuple[int, ...]
    """Indices into the requests that were planned, ascending: two or more, or one
    where ``prefix_tokens`` is 0."""

    @property
    def saved_tokens(self) -> int:
        """Prompt tokens that need not be computed: the prefix, for all but one."""
        return (len(self.members) - 1) * self.prefix_tokens
