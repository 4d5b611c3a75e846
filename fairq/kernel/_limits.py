"""Limits that the facade checks before anything is changed."""

from fairq._validators import is_integer
from fairq.backend import Capacity
from fairq.errors import RequestRejected, UsageError
from fairq.prefix_cache import PrefixCache


def check_time(now_ns: object) -> None:
    """Refuse a time that is not a whole number."""
    if not is_integer(now_ns):
        msg = f"now_ns must be an integer (nanoseconds); got {now_ns!r}."
        raise UsageError(msg)


def within(wanted: int | None, available: int, name: str, unit: str) -> int:
    """What a policy asks for, or all the backend has; not more than that."""
    if wanted is None:
        return available
    if wanted > available:
        msg = (
            f"Policy.{name} is {wanted} {unit}, but the backend has {available}. "
            f"Lower it, or leave it out to use all the backend has."
        )
        raise UsageError(msg)
    return wanted


def check_pins(cache: PrefixCache | None, capacity: Capacity) -> None:
    """Refuse a policy that could pin the whole pool."""
    if cache is not None and cache.max_pinned_blocks >= capacity.blocks:
        msg = (
            f"PrefixCache.max_pinned_blocks must be less than the {capacity.blocks} "
            f"blocks of the backend; got {cache.max_pinned_blocks}. No request could "
            f"run beside so many."
        )
        raise UsageError(msg)


def check_queue(limit: int | None, waiting: int, name: str) -> None:
    """Refuse one more in a queue that is full."""
    if limit is not None and waiting >= limit:
        msg = (
            f"The {name} holds {waiting} requests and may hold {limit}. "
            f"Try again when some have finished."
        )
        raise RequestRejected(msg, retryable=True, needed=waiting + 1, available=limit)
