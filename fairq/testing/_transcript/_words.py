"""How transcripts say what a kernel was told and what it answered."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, unquote

from fairq._validators import is_integer
from fairq.events import Events
from fairq.kernel import Idle, Snapshot
from fairq.plan import StepPlan

SAFE: Final = "/_.-~+@"
"""What may stand in a name besides letters and digits; all else is %XX."""
HALF_SPELLED: Final = re.compile("%(?![0-9A-Fa-f]{2})")
"""What ``unquote`` would let stand."""


def ids(numbers: Iterable[int]) -> str:
    """A list of numbers."""
    return ",".join(map(str, numbers)) or "none"


def spelled(name: str) -> str:
    """A name without anything that has a meaning in a transcript."""
    return quote(name, SAFE, errors="surrogatepass")


def unspelled(text: str) -> str:
    """The name that was spelled.

    Raises:
        ValueError: a ``%`` without two hex digits, or bytes that are no text.
    """
    if HALF_SPELLED.search(text):
        raise ValueError(text)
    return unquote(text, errors="surrogatepass")


def figure(value: float) -> str:
    """A number that reads back as the same number: 3 stays an integer."""
    return repr(int(value)) if is_integer(value) else repr(float(value))


def described(plan: StepPlan) -> Iterator[str]:
    """A plan, a line for each thing it says."""
    yield f"step {plan.step_id}: {plan.tokens} positions"
    if plan.leave:
        yield f"  leave {ids(plan.leave)}"
    for request_id, block in plan.grow:
        yield f"  grow {request_id} by block {block}"
    for entry in plan.enter:
        cached = f"{entry.cached} of them cached, " if entry.cached else ""
        yield (
            f"  enter {entry.request_id} with {len(entry.tokens)} tokens, {cached}"
            f"slot {entry.slot}, blocks {ids(entry.blocks)}"
        )
    for run in plan.shared:
        yield f"  blocks {ids(run.blocks)} shared by {ids(run.members)}"
    for chunk in plan.chunks:
        end = " and sample" if chunk.samples else ""
        yield f"  chunk {chunk.request_id}: {chunk.start} + {chunk.length}{end}"
    if plan.decodes:
        yield f"  decode {ids(plan.decodes)}"


def happened(events: Events) -> Iterator[str]:
    """What a call changed for the callers."""
    if events.tokens:
        yield "tokens " + " ".join(f"{i}:{t}" for i, t in events.tokens.items())
    for end in events.finished:
        count = f"{end.output_tokens} tokens"
        yield f"finished {end.request_id}: {end.reason.value}, {count}"
    if events.preempted:
        yield f"preempted {ids(events.preempted)}"
    for share in events.shares:
        yield (
            f"request {share.member} takes over {share.tokens} positions of request "
            f"{share.payer}"
        )
    if not events:
        yield "nothing"


def idle(why: Idle) -> str:
    """Why there is no plan."""
    return f"idle: {why.value}"


def standing(snapshot: Snapshot) -> Iterator[str]:
    """Tenants and requests as they stand, and the cache if there is something in it."""
    if snapshot.cached_blocks or snapshot.cached_tokens:
        yield (
            f"{snapshot.cached_blocks} blocks cached, {snapshot.cached_tokens} "
            f"positions found"
        )
    for tenant in snapshot.tenants:
        yield (
            f"{spelled(tenant.tenant)}: counter {tenant.counter:g}, service "
            f"{tenant.service:g}, {tenant.waiting} waiting, "
            f"{tenant.running} running"
        )
    for request in snapshot.requests:
        yield (
            f"request {request.request_id}: {request.phase.value}, "
            f"{request.output_tokens}/{request.max_tokens} tokens, "
            f"blocks {ids(request.blocks)}"
        )
