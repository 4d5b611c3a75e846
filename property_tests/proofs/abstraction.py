"""The state that the gate's lemma speaks of, read out of a kernel that runs.

So the proof is about this kernel: whatever is done to it, each of its admissions passes
the gate as the proof has it, and between steps its state satisfies the invariant of
``gate``, with O and P as the kernel has measured them so far.
"""

from fractions import Fraction

import attrs

from fairq import Kernel, StepPlan
from fairq.kernel._tenant import Tenant
from property_tests.proofs.replay import Counted


def seen(tenant: Tenant, *, waits: bool) -> Counted:
    """A tenant, as in the proof."""
    return Counted(
        Fraction(tenant.counter),
        Fraction(tenant.prompt_price * tenant.prepaid),
        Fraction(tenant.output_price * tenant.owed),
        waits,
    )


@attrs.define
class Planned:
    """What becomes true when the outstanding plan is committed."""

    v: Fraction
    last: Tenant | None
    """Who is admitted last."""


class Watch:
    """Follows a kernel and keeps v, which no kernel has."""

    def __init__(self, kernel: Kernel) -> None:
        assert kernel._life.counters.slack is not None
        self.slack = Fraction(kernel._life.counters.slack)
        self._life = kernel._life
        self._counters = kernel._life.counters
        self.v = Fraction(0)

    def plan(self, plan: StepPlan) -> Planned:
        """Pass the gate again with everybody that the plan admits."""
        queues = {t: len(t.waiting) for t in self._counters.backlogged}
        counters = {t: Fraction(t.counter) for t in queues}
        planned = Planned(self.v, None)
        for enter in plan.enter:
            sequence = self._life.sequences[enter.request_id]
            tenant = sequence.tenant
            lowest = min(counters.values())
            assert counters[tenant] <= lowest + self.slack
            planned.v, planned.last = max(planned.v, lowest), tenant
            counters[tenant] += tenant.prompt_price * sequence.unpaid
            queues[tenant] -= 1
            if not queues[tenant]:
                # All it has is in the plan: it does not wait any more.
                del counters[tenant]
        return planned

    def committed(self, planned: Planned) -> None:
        """The plan was answered; its order of work is part of the hypotheses."""
        self.v = max(self.v, planned.v)
        if planned.last is None:
            return
        for tenant in self._counters.tenants.values():
            others = tenant is not planned.last and not tenant.waiting
            assert not (others and tenant.prepaid)

    def check(self) -> None:
        """The invariant of ``gate``, in order; while no plan is outstanding."""
        floor = Fraction(self._counters._floor)
        self.v = max(self.v, floor)
        ahead = Fraction(self._counters.largest_prepaid)
        tenants = [
            seen(tenant, waits=tenant in self._counters.backlogged)
            for tenant in self._counters.tenants.values()
        ]
        for tenant in tenants:
            self._check(tenant, ahead)
        ready = [t.prepaid == 0 or t.executed >= self.v - ahead for t in tenants]
        assert floor >= self.v or all(ready)
        if not any(tenant.waits for tenant in tenants):
            self._check_last_left(floor, ahead)
        self._check_gaps(tenants, ahead)

    def _check(self, tenant: Counted, ahead: Fraction) -> None:
        most = Fraction(self._counters.largest_commitment)
        assert 0 <= tenant.owed <= most
        assert 0 <= tenant.prepaid <= ahead
        assert tenant.counter + tenant.owed <= self.v + self.slack + most
        if tenant.waits:
            assert tenant.executed >= self.v - ahead

    def _check_last_left(self, floor: Fraction, ahead: Fraction) -> None:
        """Nobody waits: who comes is measured against somebody far enough ahead."""
        last = self._counters._last_left
        reach = floor if last is None else seen(last, waits=False).executed
        assert max(floor, reach) >= self.v - ahead

    def _check_gaps(self, tenants: list[Counted], ahead: Fraction) -> None:
        most = Fraction(self._counters.largest_commitment)
        waiting = [tenant.executed for tenant in tenants if tenant.waits]
        if waiting:
            gap = max(waiting) - min(waiting)
            assert gap <= self.slack + most + ahead
