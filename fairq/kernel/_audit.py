"""Every invariant of the state, checked the slow and obvious way."""

from collections.abc import Iterator

from fairq.kernel._audit_blocks import block_problems
from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.kernel._tenant import Tenant


def problems(life: Lifecycle, draft: Draft | None) -> Iterator[str]:
    """What is wrong, in sentences; nothing when all is well."""
    yield from block_problems(life, draft)
    yield from _batch(life, draft)
    gone = [] if draft is None else draft.preempted
    for sequence in life.sequences.values():
        if sequence not in gone:
            yield from _sequence(life, sequence)
    for tenant in life.counters.tenants.values():
        yield from _tenant(life, tenant)
    yield from _counters(life)
    if draft is None and life.arriving:
        yield "Somebody is arriving and no plan is outstanding."


def _batch(life: Lifecycle, draft: Draft | None) -> Iterator[str]:
    batch = life.batch
    members = [s for s in life.sequences.values() if s.phase is not Phase.WAITING]
    if len(members) != len(batch):
        yield f"The batch has {len(batch)} members, but {len(members)} requests run."
    entering = [] if draft is None else [entry.slot for entry in draft.entries]
    slots = [sequence.slot for sequence in members] + entering
    if len(set(slots)) != len(slots) or -1 in slots:
        yield f"Slots are shared or missing: {slots}."
    if len(slots) + batch.free_slots != batch.total_slots:
        yield f"{batch.total_slots - len(slots) - batch.free_slots} slots are nowhere."
    produced = sum(sequence.produced for sequence in members)
    if produced != batch.produced:
        yield f"Members produced {produced} tokens, the batch says {batch.produced}."
    for sequence in members:
        if not batch.knows(sequence):
            yield f"Request {sequence.id} is not where its phase says."
    if batch.calendar_entries != 2 * len(batch.decodes):
        yield "Somebody in the calendar does not decode."


def _sequence(life: Lifecycle, sequence: Sequence) -> Iterator[str]:
    where = f"Request {sequence.id}"
    tenant = sequence.tenant
    queue = tenant.waiting if sequence.phase is Phase.WAITING else tenant.running
    if queue.get(sequence.id) is not sequence:
        yield f"{where} is not in the right queue of its tenant."
    if sequence.unpaid and sequence.phase is not Phase.WAITING:
        yield f"{where} has {sequence.unpaid} prompt tokens that nobody charged."
    if sequence.prepaid and sequence.phase is Phase.DECODING:
        yield f"{where} decodes and has prompt tokens prepaid."
    if sequence.phase is not Phase.WAITING:
        needed = life.ledger.blocks_for(max(sequence.known - 1, 1))
        most = life.ledger.blocks_for(sequence.known + 1)
        if not needed <= len(sequence.blocks) <= most:
            yield f"{where} has {len(sequence.blocks)} blocks, needs {needed}."
    elif sequence.blocks:
        yield f"{where} waits and holds blocks."
    if not 0 <= sequence.produced < sequence.request.max_tokens:
        yield f"{where} has produced {sequence.produced} tokens and is not over."


def _tenant(life: Lifecycle, tenant: Tenant) -> Iterator[str]:
    where = f"Tenant {tenant.name!r}"
    if tenant.pending or tenant.head() is not next(iter(tenant.waiting.values()), None):
        yield f"{where} carries the traces of a draft."
    if list(tenant.waiting) != sorted(tenant.waiting):
        yield f"The queue of {where} is out of order."
    running = tenant.running.values()
    members = (*running, *tenant.waiting.values())
    if tenant.prepaid != sum(sequence.prepaid for sequence in members):
        yield f"{where} has prepaid {tenant.prepaid}, its requests something else."
    owed = sum(s.request.max_tokens - s.produced for s in running)
    if tenant.owed != owed:
        yield f"{where} owes {tenant.owed} outputs, its requests {owed}."
    decoding = sum(sequence.phase is Phase.DECODING for sequence in running)
    if tenant.decoding != decoding:
        yield f"{where} is charged for {tenant.decoding} decodes of {decoding}."
    if life.waits(tenant) != (tenant in life.counters.backlogged):
        yield f"{where} takes turns without waiting, or waits without turns."


def _counters(life: Lifecycle) -> Iterator[str]:
    idle = {tenant.name for tenant in life.counters.idle()}
    for name, tenant in life.counters.tenants.items():
        if (name in idle) != (not tenant.waiting and not tenant.running):
            yield f"Tenant {name!r} is idle and not noted as such, or the reverse."
    for sequence in life.sequences.values():
        if life.counters.tenants.get(sequence.tenant.name) is not sequence.tenant:
            yield f"The tenant of request {sequence.id} is forgotten."
