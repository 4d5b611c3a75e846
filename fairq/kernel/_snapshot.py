"""What a kernel looks like from outside, as frozen values; and why it may be idle."""

import enum

import attrs

from fairq.plan import BlockId, StepId
from fairq.request import RequestId


class Idle(enum.Enum):
    """Why ``plan`` had nothing to return."""

    NO_WORK = "no work"
    """Nothing waits and nothing runs; the next ``submit`` changes that."""

    AWAITING_RESULT = "awaiting a result"
    """A plan is outstanding: ``commit`` or ``fail`` it first."""


class Phase(enum.Enum):
    """Where a live request stands."""

    WAITING = "waiting"
    """In the queue of its tenant; it holds no block."""

    PREFILLING = "prefilling"
    """In the batch; part of its known tokens is not computed yet."""

    DECODING = "decoding"
    """In the batch; one token a step."""

    OVER = "over"
    """Finished, cancelled or given up. Never seen in a snapshot."""

    __hash__ = object.__hash__  # in C; the one of Enum is a function of Python


@attrs.frozen(kw_only=True)
class RequestSnapshot:
    """One live request."""

    request_id: RequestId
    tenant: str
    phase: Phase
    prompt_tokens: int
    output_tokens: int
    """Delivered so far."""
    max_tokens: int
    blocks: tuple[BlockId, ...]
    """Its block table; empty while it waits."""


@attrs.frozen(kw_only=True)
class TenantSnapshot:
    """One tenant that has live requests, or that was served more than the others.

    A tenant without live requests is forgotten when somebody begins to wait and that
    changes nothing, and its counts begin at 0 when it comes back; sum up events to
    bill somebody.
    """

    tenant: str
    weight: float
    counter: float
    """Virtual counter: service charged (and lifts) in service units per unit of weight.
    Prompts are charged whole when admitted."""
    prompt_tokens: int
    """Prompt positions computed for the first time, and its part of what was computed
    for a group; without what others have taken over."""
    output_tokens: int
    """Output tokens delivered."""
    service: float
    """The cost of those two, in service units."""
    waiting: int
    running: int
    oldest_wait_ns: int
    """How long ago its oldest waiting request was submitted (a preempted one has run
    meanwhile), in ns of the caller's clock; 0 when nothing waits."""


@attrs.frozen(kw_only=True)
class Snapshot:
    """A frozen copy of everything a kernel will tell. Costs O(live requests)."""

    now_ns: int
    """The latest time a caller has passed in."""
    steps: int
    """Steps committed."""
    outstanding: StepId | None
    """The plan that must be answered next."""
    waiting: int
    running: int
    blocks: int
    """Size of the KV pool."""
    free_blocks: int
    """Neither in a table nor promised to the outstanding plan, and nothing in them."""
    cached_blocks: int
    """Held by nobody, but what they hold may be found again, or evicted."""
    cached_tokens: int
    """Prompt positions that were found in the cache instead of being computed."""
    preemptions: int
    recomputed_tokens: int
    """Positions computed again after preemptions; charged to nobody."""
    gap_bound: float | None
    """Over any interval in which two tenants were both backlogged, their service per
    unit of weight differed by at most this (service units); computed from the largest
    commitments of this run. A request in an outstanding plan does not wait any more,
    and one that arrives meanwhile waits from the answer on. None when the discipline
    has no gate."""
    tenants: tuple[TenantSnapshot, ...]
    """In the order in which they were first seen."""
    requests: tuple[RequestSnapshot, ...]
    """In the order of arrival."""
