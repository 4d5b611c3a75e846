"""The state as frozen values."""

from fairq.cost import SCALE
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._snapshot import Snapshot, TenantSnapshot
from fairq.kernel._tenant import Tenant
from fairq.plan import StepId


def take_snapshot(life: Lifecycle, outstanding: StepId | None, now_ns: int) -> Snapshot:
    """A frozen copy of everything. Cost: O(live requests + tenants)."""
    tenants = life.counters.tenants.values()
    return Snapshot(
        now_ns=now_ns,
        steps=life.clock.tick,
        outstanding=outstanding,
        waiting=life.waiting,
        running=len(life.batch),
        blocks=life.ledger.total,
        free_blocks=life.ledger.free,
        cached_blocks=life.ledger.tree.cached,
        cached_tokens=life.cached_tokens,
        preemptions=life.preemptions,
        recomputed_tokens=life.recomputed,
        gap_bound=life.counters.gap_bound,
        tenants=tuple(_tenant(tenant, now_ns) for tenant in tenants),
        requests=tuple(seq.snapshot() for seq in life.sequences.values()),
    )


def _tenant(tenant: Tenant, now_ns: int) -> TenantSnapshot:
    oldest = next(iter(tenant.waiting.values()), None)
    computed = tenant.prompt_tokens - tenant.prepaid
    prices = tenant.prompt_price * computed + tenant.output_price * tenant.outputs
    return TenantSnapshot(
        tenant=tenant.name,
        weight=tenant.weight,
        counter=tenant.counter / SCALE,
        prompt_tokens=computed,
        output_tokens=tenant.outputs,
        service=prices * tenant.weight / SCALE,
        waiting=len(tenant.waiting),
        running=len(tenant.running),
        oldest_wait_ns=0 if oldest is None else now_ns - oldest.submitted_ns,
    )
