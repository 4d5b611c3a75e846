"""In which order requests go that the gate lets through."""

import enum

__all__ = ["Order"]


class Order(enum.Enum):
    """What goes first inside the gate.

    Fairness decides between tenants; inside a tenant, and between tenants that are
    both inside the gate, any order is as fair as any other, so it can serve the cache
    or the batch. All but FIFO compare the 64 oldest requests of a tenant and the first
    32 tenants, and the oldest request of a tenant is passed by at most
    ``Policy.patience`` others of it.
    """

    FIFO = "fifo"
    """The oldest of the tenant whose turn it is."""

    PREFIX = "prefix"
    """The one with the longest cached prefix. (Longest prefix match is the order of
    SGLang, Zheng et al., 2023.)"""

    SHORTEST = "shortest"
    """The one with the fewest tokens left, prompt and output together."""

    DECODE_HEAVY = "decode-heavy"
    """The one with most output for its prompt: decodes fill steps for long. (The group
    order of BatchLLM, Zheng et al., 2024.)"""
