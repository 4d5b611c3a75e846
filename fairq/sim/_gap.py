"""The largest service gap that really occurred, measured from the work executed.

W_i is the work done for tenant i: prompt positions computed for the first time, or
found in the prefix cache before they were, and output tokens, each at its price. A
prefix that was computed for several is work for all of them: with ``Events.shares`` a
part goes from the tenant that computed it to another. x_i = W_i / w_i is kept as an
integer in the kernel's unit. While i and j are both backlogged (each has a request that
waits), the gap of the pair is the largest minus the smallest x_i - x_j seen; the
largest of all is reported.

Cost. Looking at every pair after every step would cost tenants^2 a step. But a tenant
whose requests only decode moves by the same amount every step, so x_i - x_j is a
straight line until i or j changes pace, and its extremes are where one of them does. So
x_i is kept as ``base + rate * steps``, and when a tenant changes pace (a chunk, a first
token, an end, a preemption) it is compared, before the change, with everybody else
in the backlog. That is exact, and costs O(backlogged tenants) per change.

Order, inside one commit: tenants whose last waiting request was admitted by this plan
leave the backlog; then the work of the step is booked, shares included; then those join
it whose requests were preempted, or arrived while the step ran. Trap: in a plan a
request does not wait any more, and the gate lets others past its tenant. Booking the
work first would measure them against it.
"""

from typing import Final

import attrs

from fairq.cost import SCALE, price
from fairq.events import Events, Share
from fairq.plan import Chunk, StepPlan
from fairq.policy import Policy
from fairq.request import RequestId

LOW: Final = 0
HIGH: Final = 1


@attrs.define(eq=False)
class Pace:
    """One tenant: where it stands, how fast it moves, and against whom."""

    tenant: str
    prompt_price: int
    output_price: int
    cached_price: int
    base: int = 0
    rate: int = 0
    """Per step, from the requests that decode."""
    waiting: int = 0
    live: int = 0
    """Requests that are not over; a tenant without any is forgotten."""
    seen: int = -1
    """Number of steps at which it was last compared with everybody."""
    spans: "dict[Pace, list[int]]" = attrs.field(factory=dict)
    """For everybody else in the backlog, the extremes of the difference seen by this
    side since both were in it."""


@attrs.define(eq=False)
class Flight:
    """One live request."""

    pace: Pace
    prompt_tokens: int
    computed: int = 0
    """Leading positions computed or found at least once; they are not counted again."""
    waiting: bool = True
    decoding: bool = False


class GapMeter:
    """Follows a kernel from outside: what arrived, which plans were carried out."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._paces: dict[str, Pace] = {}
        self._backlog: dict[Pace, None] = {}
        self._flights: dict[RequestId, Flight] = {}
        self._steps = 0
        self._largest = 0

    def arrived(self, request_id: RequestId, tenant: str, prompt_tokens: int) -> None:
        """A request was accepted. Costs O(backlogged tenants) when it is the first."""
        pace = self._paces.get(tenant) or self._new_pace(tenant)
        pace.live += 1
        self._flights[request_id] = Flight(pace, prompt_tokens)
        self._wait(pace)

    def committed(self, plan: StepPlan, events: Events) -> None:
        """A plan was carried out. Costs O(changes * backlogged tenants)."""
        for request_id in plan.leave:
            # The ones that finished are gone already; the others were preempted.
            if (flight := self._flights.get(request_id)) is not None:
                self._change_pace(flight, decoding=False)
        for enter in plan.enter:
            self._admit(self._flights[enter.request_id])
        self._book(plan, events.shares)
        self._settle(events)
        self._drop(events)

    def failed(self, events: Events) -> None:
        """A plan was not carried out; nothing was done for anybody."""
        self._settle(events)
        self._drop(events)

    def largest_gap(self) -> float:
        """The largest gap so far, in service units per unit of weight."""
        largest = self._largest
        for pace in self._backlog:
            self._compare(pace)
            gaps = (self._gap(pace, other) for other in pace.spans)
            largest = max(largest, *gaps, 0)
        return largest / SCALE

    def _new_pace(self, tenant: str) -> Pace:
        weight, cost = self._policy.weight(tenant), self._policy.cost
        pace = Pace(
            tenant,
            prompt_price=price(cost.prompt, weight),
            output_price=price(cost.output, weight),
            cached_price=price(cost.cached, weight),
        )
        self._paces[tenant] = pace
        return pace

    def _book(self, plan: StepPlan, shares: tuple[Share, ...]) -> None:
        """Count the work of a step; decodes are counted by the rates."""
        if not (plan.chunks or plan.enter or shares):
            self._steps += 1
            return
        work = self._work(plan, shares)
        for pace, _ in work:
            self._compare(pace)
        self._steps += 1
        for pace, amount in work:
            pace.base += amount
        for pace, _ in work:
            self._compare(pace)
        for chunk in plan.chunks:
            if chunk.samples:
                self._change_pace(self._flights[chunk.request_id], decoding=True)

    def _work(
        self, plan: StepPlan, shares: tuple[Share, ...]
    ) -> list[tuple[Pace, int]]:
        """What a step adds, tenant by tenant, one of them maybe several times."""
        flights = self._flights
        work = []
        for enter in plan.enter:
            if enter.cached:
                flight = flights[enter.request_id]
                work.append((flight.pace, _found(flight, enter.cached)))
        for chunk in plan.chunks:
            flight = flights[chunk.request_id]
            work.append((flight.pace, _computed(flight, chunk)))
        for share in shares:
            payer, member = flights[share.payer].pace, flights[share.member].pace
            work.append((payer, -payer.prompt_price * share.tokens))
            work.append((member, member.prompt_price * share.tokens))
        return work

    def _settle(self, events: Events) -> None:
        """Stop those who no longer decode; who was preempted waits again."""
        for finished in events.finished:
            if (flight := self._flights.get(finished.request_id)) is not None:
                self._change_pace(flight, decoding=False)
        for request_id in events.preempted:
            if (flight := self._flights.get(request_id)) is not None:
                self._change_pace(flight, decoding=False)
                flight.waiting = True
                self._wait(flight.pace)

    def _drop(self, events: Events) -> None:
        """Forget requests that are over, last: their tenants may leave the backlog."""
        for finished in events.finished:
            flight = self._flights.pop(finished.request_id, None)
            if flight is not None:
                self._admit(flight)
                self._forget(flight.pace)

    def _forget(self, pace: Pace) -> None:
        pace.live -= 1
        if pace.live == 0:
            del self._paces[pace.tenant]

    def _change_pace(self, flight: Flight, *, decoding: bool) -> None:
        if flight.decoding == decoding:
            return
        pace = flight.pace
        self._compare(pace)
        change = pace.output_price if decoding else -pace.output_price
        pace.rate += change
        # The line turns here: what it says about this step stays the same.
        pace.base -= change * self._steps
        flight.decoding = decoding

    def _wait(self, pace: Pace) -> None:
        pace.waiting += 1
        if pace.waiting == 1:
            self._join(pace)

    def _admit(self, flight: Flight) -> None:
        if not flight.waiting:
            return
        flight.waiting = False
        flight.pace.waiting -= 1
        if flight.pace.waiting == 0:
            self._leave(flight.pace)

    def _join(self, pace: Pace) -> None:
        level = self._level(pace)
        for other in self._backlog:
            ahead = level - self._level(other)
            pace.spans[other] = [ahead, ahead]
            other.spans[pace] = [-ahead, -ahead]
        self._backlog[pace] = None

    def _leave(self, pace: Pace) -> None:
        self._compare(pace)
        for other in pace.spans:
            self._largest = max(self._largest, self._gap(pace, other))
            del other.spans[pace]
        pace.spans.clear()
        del self._backlog[pace]

    def _compare(self, pace: Pace) -> None:
        """Note how far a tenant is from everybody else in the backlog just now."""
        if pace.seen == self._steps:
            return
        pace.seen = steps = self._steps
        level = pace.base + pace.rate * steps
        for other, span in pace.spans.items():
            ahead = level - (other.base + other.rate * steps)
            if ahead > span[HIGH]:
                span[HIGH] = ahead
            elif ahead < span[LOW]:
                span[LOW] = ahead

    def _level(self, pace: Pace) -> int:
        return pace.base + pace.rate * self._steps

    @staticmethod
    def _gap(pace: Pace, other: Pace) -> int:
        """What both sides have seen of their difference, together."""
        mine, theirs = pace.spans[other], other.spans[pace]
        high = max(mine[HIGH], -theirs[LOW])
        low = min(mine[LOW], -theirs[HIGH])
        return high - low


def _fresh(flight: Flight, start: int, end: int) -> int:
    """Of the positions start .. end - 1, those of the prompt that are new."""
    fresh = min(end, flight.prompt_tokens) - max(start, flight.computed)
    flight.computed = max(flight.computed, end)
    return max(0, fresh)


def _found(flight: Flight, cached: int) -> int:
    """What cached positions add."""
    return flight.pace.cached_price * _fresh(flight, 0, cached)


def _computed(flight: Flight, chunk: Chunk) -> int:
    """What a chunk adds: prompt positions never computed before, and its token."""
    fresh = _fresh(flight, chunk.start, chunk.start + chunk.length)
    prompt = flight.pace.prompt_price * fresh
    return prompt + (flight.pace.output_price if chunk.samples else 0)
