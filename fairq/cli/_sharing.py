"""Whose prompts share a prefix cache in a replay, and whether there is one."""

from argparse import Namespace
from typing import Final

from fairq.errors import UsageError
from fairq.prefix_cache import PrefixCache
from fairq.sim import Trace

TENANT: Final = "tenant"
ALL: Final = "all"
SCOPES: Final = (TENANT, ALL)


def prefix_cache(arguments: Namespace, trace: Trace) -> PrefixCache | None:
    """The cache that a command line asks for; None for none.

    Raises:
        UsageError: options contradict one another, or there is nothing to share.
    """
    if arguments.prefix_cache and not trace.shares:
        msg = (
            "--prefix-cache: expected a trace that tells what prompts have in common "
            "(Mooncake, agent sessions, groups:...), got none. Drop --prefix-cache."
        )
        raise UsageError(msg)
    on = trace.shares if arguments.prefix_cache is None else arguments.prefix_cache
    scope = arguments.share_prefixes
    if scope is not None and not on:
        msg = (
            f"--share-prefixes: this replay has no prefix cache, got {scope!r}. Drop "
            f"--share-prefixes."
        )
        raise UsageError(msg)
    if arguments.offline and scope == TENANT:
        msg = "--offline: one cache serves the whole job, got --share-prefixes tenant."
        raise UsageError(msg)
    everybody = scope == ALL or bool(arguments.offline)
    return PrefixCache(everybody=everybody) if on else None
