"""A kernel with a prefix cache, driven by a program, and everything that watches it."""

from collections.abc import Iterable
from fractions import Fraction

import attrs

from fairq import (
    Events,
    Kernel,
    RequestId,
    RequestRejected,
    Snapshot,
    StepId,
    StepPlan,
    StepResult,
    UsageError,
)
from property_tests.models import GapModel
from property_tests.prefixes.accounts import Accounts
from property_tests.prefixes.batch import Batch
from property_tests.prefixes.programs import Ask, Commit, Op, Pin, Setting, Unpin
from property_tests.programs import Cancel, Fail, Plan, sampled

FINE = 2**12
"""Services are counted in 1/FINE service units, so that they are whole."""


class Driver:
    """Does one thing after the other and believes nothing.

    Attributes:
        hits: Positions that were found by those who entered.
        shares: Charges that went from one tenant to another.
        preempted: How often somebody lost its blocks.
    """

    def __init__(self, setting: Setting) -> None:
        policy = setting.policy
        self.cost = policy.cost
        self.kernel: Kernel = setting.kernel()
        self.batch = Batch(setting.capacity, policy.prefix_cache)
        self.accounts = Accounts()
        self.gaps = GapModel(dict(policy.weights))
        self.live: set[RequestId] = set()
        self.waiting: dict[RequestId, None] = {}
        self.arrived: list[RequestId] = []
        self.outstanding: StepPlan | None = None
        self.pins: list[tuple[Pin, int]] = []
        self.hits = self.shares = self.preempted = 0
        self.log: list[str] = []

    def play(self, program: Iterable[Op]) -> "Driver":
        for op in program:
            self.do(op)
        return self

    def finish(self, most: int = 3_000) -> "Driver":
        """Go on until nobody is left; then every block is free or cached."""
        for _ in range(most):
            if not self.live and self.outstanding is None:
                break
            self.do(Plan())
            self.do(Commit())
        assert not self.live
        while self.pins:
            self.do(Unpin(0))
        # Who ended last is told with the next plan, and there is none.
        snapshot = self.kernel.snapshot()
        assert snapshot.blocks == snapshot.free_blocks + snapshot.cached_blocks
        return self

    def do(self, op: Op) -> None:
        match op:
            case Ask():
                self._submit(op)
            case Cancel():
                self._cancel(op)
            case Plan():
                self._plan()
            case Commit():
                self._commit(op)
            case Fail():
                self._fail()
            case Pin():
                self._pin(op)
            case Unpin():
                self._unpin(op)
        self.kernel.check()
        self._compare()

    # --- requests and pins ------------------------------------------------------------

    def _submit(self, op: Ask) -> None:
        request = op.request()
        try:
            id_ = self.kernel.submit(request)
        except RequestRejected:
            return
        self.batch.requests[id_] = request
        self.accounts.open(id_, request)
        self.live.add(id_)
        self.arrived.append(id_)
        if self.outstanding is None:
            self._answered()

    def _cancel(self, op: Cancel) -> None:
        id_ = RequestId(op.which % max(1, len(self.batch.requests)))
        self._over(self.kernel.cancel(id_))

    def _pin(self, op: Pin) -> None:
        tokens = [op.stem] * op.length
        try:
            count = self.kernel.pin(op.tenant, tokens)
        except UsageError:
            return
        if count:
            self.pins.append((op, count))

    def _unpin(self, op: Unpin) -> None:
        if self.pins:
            pin, _ = self.pins.pop(op.which % len(self.pins))
            self.kernel.unpin(pin.tenant, [pin.stem] * pin.length)

    # --- steps ------------------------------------------------------------------------

    def _plan(self) -> None:
        plan = self.kernel.plan()
        if isinstance(plan, StepPlan):
            self.outstanding = plan
            self.log.append(said(plan))
            self._check_pinned(plan)

    def _check_pinned(self, plan: StepPlan) -> None:
        """What is pinned is there, whatever has been evicted."""
        for enter in plan.enter:
            request = self.batch.requests[enter.request_id]
            most = (len(enter.tokens) - 1) // self.batch.size * self.batch.size
            texts = self.batch.numbers(request, enter.tokens)[:most]
            for pin, count in self.pins:
                owner = attrs.evolve(request, tenant=pin.tenant, adapter=None)
                pinned = self.batch.numbers(owner, [pin.stem] * count)
                common = sum(
                    one == two for one, two in zip(texts, pinned, strict=False)
                )
                assert common // self.batch.size <= enter.cached // self.batch.size

    def _commit(self, op: Commit) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        self.log.append(f"{op}")
        ids = sampled(plan)
        tokens = dict.fromkeys(ids, op.token)
        stopped = () if op.stop is None or not ids else (ids[op.stop % len(ids)],)
        self.batch.execute(plan, tokens)
        events = self.kernel.commit(StepResult(plan.step_id, tokens, stopped))
        self._entered(plan, events)
        self._over(events)
        self._answered()

    def _entered(self, plan: StepPlan, events: Events) -> None:
        before = self.backlogged()
        services = self._services()
        self.accounts.book(plan, events)
        for enter in plan.enter:
            self.hits += enter.cached
            self.waiting.pop(enter.request_id, None)  # or it was cancelled meanwhile
        self._wait_again(events)
        self.shares += len(events.shares)
        for name, service in self._services().items():
            self.gaps.add(name, service - services.get(name, 0))
        # The work was done while these waited: who entered did not any more.
        waiting = self.backlogged()
        self.gaps.observe([name for name in before if name in waiting])

    def _fail(self) -> None:
        plan, self.outstanding = self.outstanding, None
        if plan is None:
            return
        self.log.append("failed")
        self.batch.spoil(plan)
        events = self.kernel.fail(plan.step_id)
        self._wait_again(events)
        self._over(events)
        self._answered()

    def _wait_again(self, events: Events) -> None:
        self.preempted += len(events.preempted)
        self.waiting.update(dict.fromkeys(events.preempted))

    def _over(self, events: Events) -> None:
        self.log.append(f"{events.finished} {events.preempted} {events.shares}")
        for finished in events.finished:
            id_ = finished.request_id
            self.live.remove(id_)
            self.waiting.pop(id_, None)

    def _answered(self) -> None:
        """Whoever arrived while a step ran begins to wait when it ends."""
        self.gaps.observe(self.backlogged())
        self.waiting.update({id_: None for id_ in self.arrived if id_ in self.live})
        self.arrived.clear()
        self.gaps.observe(self.backlogged())

    # --- what is compared -------------------------------------------------------------

    def backlogged(self) -> list[str]:
        """Tenants of whom somebody waits."""
        return sorted({self.batch.requests[id_].tenant for id_ in self.waiting})

    def _services(self) -> dict[str, int]:
        """What each tenant has had, of all time."""
        prices = (self.cost.prompt, self.cost.cached, self.cost.output)
        prompt, cached, output = (int(FINE * price) for price in prices)
        sums: dict[str, int] = {}
        for account in self.accounts.of.values():
            mine = (account.borne, account.paid - account.computed, account.outputs)
            service = prompt * mine[0] + cached * mine[1] + output * mine[2]
            sums[account.tenant] = sums.get(account.tenant, 0) + service
        return sums

    @property
    def largest_gap(self) -> Fraction:
        """In service units per unit of weight."""
        return self.gaps.largest / FINE

    def _compare(self) -> None:
        snapshot = self.kernel.snapshot()
        self.accounts.compare(snapshot)
        borne = sum(each.borne for each in self.accounts.of.values())
        assert borne == self.accounts.first_computed
        if snapshot.gap_bound is not None:
            assert self.largest_gap <= Fraction(snapshot.gap_bound)
        if self.outstanding is None:
            self._compare_blocks(snapshot)

    def _compare_blocks(self, snapshot: Snapshot) -> None:
        """Free, cached and in a table: each block is one of these, or pinned."""
        members = self.live - self.waiting.keys()
        held = len(self.batch.held(members))
        rest = snapshot.blocks - snapshot.free_blocks - snapshot.cached_blocks
        pinned = sum(count for _, count in self.pins) // self.batch.size
        assert held <= rest <= held + pinned


def said(plan: StepPlan) -> str:
    """All of a plan but its id, now: ``decodes`` is a view."""
    slots = [plan.decodes.slot(id_) for id_ in plan.decodes]
    return f"{attrs.evolve(plan, step_id=StepId(0))!r} slots {slots}"
