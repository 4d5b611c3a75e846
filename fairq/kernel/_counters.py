"""Virtual counters of all tenants: lift, charge, refund, and who is next.

The algorithm is VTC of Sheng et al. (OSDI 2024) with weights, a gate of width Q, and
prompts charged whole at admission. Why the gap is bounded, for the service W that was
executed (not merely charged), Q the slack, w the weight:

* c is the counter, p the charged part of it that is not computed yet, and v the floor:
  the running maximum of the smallest counter among backlogged tenants. A tenant that
  becomes backlogged is lifted to v, and a refund lowers c and p alike, so of every
  backlogged tenant j: c_j - p_j >= v - P, where P is the largest p between two steps.
* Tenant i is admitted only while c_i <= v + Q. What it can be charged afterwards, by
  computing what is admitted, is at most O: the new prompt and the outputs owed. So
  c_i - p_i <= v + Q + O until its next admission.
* Hence (c_i - p_i) - (c_j - p_j) <= Q + O + P, and over an interval in which both stay
  backlogged (no lifts) |dW_i/w_i - dW_j/w_j| <= 2 (Q + O + P).

O and P are measured, as maxima over the tenants and the run: O right after admissions,
P at the end of steps, when prompts that were admitted and computed in one are no part
of it any more.
* Who computes a prefix for others is charged for all of it, and gets their parts back
  when they are admitted: c_i falls, by work that was done. Let S be the most that it
  was below v then. While it is below v, v does not rise; so c_j - p_j >= v - P - S,
  and the bound becomes 2 (Q + O + P + S), where the service of a shared prefix is that
  of those who bear its charge. What a member takes over is part of its O.

A request that is in an outstanding plan does not wait any more, and one that arrives
meanwhile begins to wait when the plan is answered: nothing is decided in between.
Trap: if it began at once, it would keep its tenant in the backlog, unlifted, although
the gate has let others past that tenant.
"""

from collections.abc import Callable, Iterator
from functools import partial

from fairq.cost import SCALE, price
from fairq.kernel._clock import StepClock
from fairq.kernel._heap import LazyHeap
from fairq.kernel._tenant import Tenant
from fairq.policy import Policy


class VirtualCounters:
    """The tenants that matter: with live requests, or above the floor."""

    __slots__ = (
        "_clock",
        "_floor",
        "_idle",
        "_last_left",
        "_policy",
        "_usual",
        "backlogged",
        "largest_commitment",
        "largest_prepaid",
        "largest_shortfall",
        "slack",
        "tenants",
    )

    def __init__(self, policy: Policy, clock: StepClock) -> None:
        self._policy = policy
        self._clock = clock
        self.tenants: dict[str, Tenant] = {}
        self.backlogged: LazyHeap[Tenant] = LazyHeap(
            partial(_by_turn, policy.discipline.turn)
        )
        """Who has waiting requests, by turn; ``plan`` takes some out for a while."""
        self._idle: LazyHeap[Tenant] = LazyHeap(_by_counter)
        self._floor = 0
        self._usual: tuple[int, int, int] | None = None
        self._last_left: Tenant | None = None
        self.largest_commitment = 0
        self.largest_prepaid = 0
        self.largest_shortfall = 0
        slack = policy.discipline.slack
        self.slack = None if slack is None else round(SCALE * slack)
        """Width of the gate, in 1/SCALE; None for no gate."""

    # --- tenants come and go --------------------------------------------------------

    def tenant(self, name: str) -> Tenant:
        """The tenant of that name, made if it is new. O(1)."""
        found = self.tenants.get(name)
        if found is None:
            weight = self._policy.weight(name)
            prompt, output, cached = self._prices(weight)
            found = Tenant(
                name=name,
                weight=weight,
                prompt_price=prompt,
                output_price=output,
                cached_price=cached,
                clock=self._clock,
            )
            self.tenants[name] = found
        return found

    def _prices(self, weight: float) -> tuple[int, int, int]:
        """Prices at a weight; kept for weight 1, which most have."""
        if weight == 1 and self._usual is not None:
            return self._usual
        cost = self._policy.cost
        prices = (
            price(cost.prompt, weight),
            price(cost.output, weight),
            price(cost.cached, weight),
        )
        if weight == 1:
            self._usual = prices
        return prices

    def rest(self, tenant: Tenant) -> None:
        """Note that a tenant has neither waiting nor running requests."""
        # Without a gate nobody's counter matters to anybody; below the floor a tenant
        # would be lifted to it when it returns.
        if self.slack is None or tenant.counter <= self._floor:
            self._forget(tenant)
        else:
            self._idle.add(tenant)

    def _evict(self) -> None:
        while (tenant := self._idle.top()) and tenant.counter <= self._floor:
            self._idle.discard(tenant)
            self._forget(tenant)

    def _forget(self, tenant: Tenant) -> None:
        del self.tenants[tenant.name]
        if self._last_left is tenant:
            self._last_left = None

    def idle(self) -> Iterator[Tenant]:
        """The tenants kept only for their counter, for checks."""
        return iter(self._idle)

    # --- backlog --------------------------------------------------------------------

    def wake(self, tenant: Tenant) -> None:
        """A tenant has a request again."""
        self._idle.discard(tenant)

    def join(self, tenant: Tenant) -> None:
        """A tenant has become backlogged: lift it, and let it take turns."""
        if self.slack is not None:
            floor = self._raise_floor()
            tenant.lifted += max(0, floor - tenant.counter)
            self._evict()
        self.backlogged.add(tenant)

    def leave(self, tenant: Tenant) -> None:
        """A tenant has nothing waiting any more, if it had."""
        if tenant in self.backlogged:
            self.backlogged.discard(tenant)
            self._last_left = tenant

    def _raise_floor(self) -> int:
        """The floor, brought up to date. O(log tenants), amortised."""
        lowest = self.backlogged.top()
        if lowest is None:
            # Nobody waits: whoever comes is measured against who waited last.
            lowest = self._last_left
        if lowest is not None and lowest.counter > self._floor:
            self._floor = lowest.counter
        return self._floor

    # --- charges --------------------------------------------------------------------

    def charge_admission(self, tenant: Tenant, prompt: int, outputs: int) -> None:
        """Charge a prompt (positions) and grant outputs (tokens)."""
        tenant.prompt_tokens += prompt
        tenant.prepaid += prompt
        tenant.granted += outputs

    def charge_cached(self, tenant: Tenant, positions: int) -> None:
        """Charge prompt positions that were found in the cache."""
        tenant.lifted += tenant.cached_price * positions

    def share(self, payer: Tenant, member: Tenant, positions: int) -> None:
        """Let a member bear a part of what the payer was charged for both."""
        if self.slack is not None:
            self._raise_floor()
        payer.prompt_tokens -= positions
        member.prompt_tokens += positions
        shortfall = self._floor - payer.counter
        self.largest_shortfall = max(self.largest_shortfall, shortfall)
        if payer in self.backlogged:
            self.backlogged.add(payer)

    def measure_commitment(self, tenant: Tenant, charge: int) -> None:
        """Note what a tenant is committed to, after its last admission of a step.

        Args:
            tenant: Who.
            charge: What that admission was charged, outputs apart.
        """
        commitment = charge + tenant.output_price * tenant.owed
        self.largest_commitment = max(self.largest_commitment, commitment)

    def measure_prepaid(self, tenant: Tenant) -> None:
        """Note what a tenant has prepaid, at the end of a step that left a prompt."""
        prepaid = tenant.prompt_price * tenant.prepaid
        self.largest_prepaid = max(self.largest_prepaid, prepaid)

    def refund(self, tenant: Tenant, prompt: int) -> None:
        """Take back the charge for positions that were never computed."""
        if not prompt:
            return
        if self.slack is not None:
            self._raise_floor()
        tenant.prompt_tokens -= prompt
        tenant.prepaid -= prompt
        if tenant in self.backlogged:
            self.backlogged.add(tenant)

    @property
    def gap_bound(self) -> float | None:
        """2 (Q + O + P + S) of this run, in service units; None without a gate."""
        if self.slack is None:
            return None
        gap = self.slack + self.largest_commitment + self.largest_prepaid
        return 2 * (gap + self.largest_shortfall) / SCALE


# Functions with names, because a kernel can be pickled.


def _by_turn(turn: Callable[[Tenant], int], tenant: Tenant) -> tuple[int, int]:
    return turn(tenant), tenant.oldest


def _by_counter(tenant: Tenant) -> tuple[int, str]:
    return tenant.counter, tenant.name
