"""Virtual token counters the slowest obvious way, written from the documentation.

It shares no code with fairq. Blocks play no part in it: it stands for a pool that is
never short, with slack 0. Everything is looked for by going through all of it, and all
counters are fractions.
"""

from fractions import Fraction

import attrs

UNIT = 2**32
"""The price of a token is rounded to 1/UNIT; nothing else is."""


def price(cost: float, weight: float) -> Fraction:
    """What a token adds to a counter."""
    return Fraction(round(UNIT * cost / weight), UNIT)


@attrs.define(eq=False)
class VtcRequest:
    """One request; it waits until it is admitted, and samples once computed."""

    id: int
    tenant: str
    prompt: int
    max_tokens: int
    computed: int = 0
    produced: int = 0
    admitted: bool = False
    arriving: bool = False
    """It came while a step is outstanding; it begins to wait with the answer."""
    cancelled: bool = False
    """Told so already, and gone when the outstanding step is answered."""

    @property
    def decodes(self) -> bool:
        return self.admitted and self.computed >= self.prompt


@attrs.frozen
class VtcStep:
    """What a step is made of, by request."""

    decodes: list[int]
    enter: list[int]
    chunks: dict[int, int]
    """Prompt positions that are computed."""
    sampling: list[int]
    """Those of ``chunks`` that reach the end of their prompt."""


class VtcModel:
    """Tenants, counters and one outstanding step."""

    def __init__(self, weights: dict[str, float], slots: int, budget: int) -> None:
        self.weights = weights
        self.slots = min(slots, budget)
        self.budget = budget
        self.counters: dict[str, Fraction] = {}
        self.floor = Fraction(0)
        self.live: dict[int, VtcRequest] = {}
        self.members: list[VtcRequest] = []
        """In the order of admission; who decodes in the order of joining."""
        self.backlog: list[str] = []
        """Tenants that wait."""
        self.last_left: str | None = None
        self.step: VtcStep | None = None

    # --- questions ------------------------------------------------------------------

    def queue(self, tenant: str) -> list[VtcRequest]:
        """Its requests that are not admitted, oldest first."""
        mine = [each for each in self.live.values() if each.tenant == tenant]
        return [each for each in mine if not each.admitted]

    def prompt_price(self, tenant: str) -> Fraction:
        return price(1.0, self.weights.get(tenant, 1.0))

    def output_price(self, tenant: str) -> Fraction:
        return price(2.0, self.weights.get(tenant, 1.0))

    # --- the floor ------------------------------------------------------------------

    def look(self) -> None:
        """The floor is the largest that the smallest waiting counter has ever been.

        When nobody waits it is that of the tenant that left the queue last.
        """
        levels = [self.counters[tenant] for tenant in self.backlog]
        if not levels and self.last_left is not None:
            levels = [self.counters[self.last_left]]
        self.floor = max(self.floor, min(levels, default=Fraction(0)))

    def joins(self, tenant: str) -> None:
        """It begins to wait, unless it waits already."""
        self.look()
        if tenant not in self.backlog:
            counter = self.counters.get(tenant, Fraction(0))
            self.counters[tenant] = max(counter, self.floor)
            self.backlog.append(tenant)

    def left(self, tenant: str) -> None:
        """It has nothing more that waits."""
        if tenant in self.backlog:
            self.backlog.remove(tenant)
            self.last_left = tenant
        self.look()

    # --- calls ----------------------------------------------------------------------

    def submit(self, id_: int, tenant: str, prompt: int, max_tokens: int) -> None:
        request = VtcRequest(id_, tenant, prompt, max_tokens)
        self.live[id_] = request
        self.counters.setdefault(tenant, Fraction(0))
        if self.step is None:
            self.joins(tenant)
        else:
            request.arriving = True

    def cancel(self, id_: int) -> bool:
        """Whether it was live."""
        request = self.live.get(id_)
        if request is None or request.cancelled:
            return False
        entering = self.step is not None and id_ in self.step.enter
        if self.step is not None and (request.admitted or entering):
            request.cancelled = True
        else:
            self._end(request)
        return True

    def plan(self) -> VtcStep:
        """Decodes first, then prompts that were begun, then newcomers by turn."""
        decoding = [each.id for each in self.members if each.decodes]
        left = self.budget - len(decoding)
        chunks: dict[int, int] = {}
        for each in self.members:
            if not each.decodes and left > 0:
                chunks[each.id] = min(each.prompt - each.computed, left)
                left -= chunks[each.id]
        enter: list[int] = []
        charged: dict[str, Fraction] = {}
        while left > 0 and len(self.members) + len(enter) < self.slots:
            request = self._next(enter, charged)
            if request is None:
                break
            enter.append(request.id)
            chunks[request.id] = min(request.prompt, left)
            left -= chunks[request.id]
            cost = self.prompt_price(request.tenant) * request.prompt
            charged[request.tenant] = charged.get(request.tenant, Fraction(0)) + cost
        ends = {id_: self.live[id_].computed + n for id_, n in chunks.items()}
        sampling = [id_ for id_, end in ends.items() if end == self.live[id_].prompt]
        self.step = VtcStep(decoding, enter, chunks, sampling)
        return self.step

    def _next(
        self, enter: list[int], charged: dict[str, Fraction]
    ) -> VtcRequest | None:
        """The oldest request of the tenant with the smallest counter."""
        queues = {tenant: self.queue(tenant) for tenant in self.backlog}
        heads = {
            tenant: next(each for each in queue if each.id not in enter)
            for tenant, queue in queues.items()
            if any(each.id not in enter for each in queue)
        }

        def turn(tenant: str) -> tuple[Fraction, int]:
            counter = self.counters[tenant] + charged.get(tenant, Fraction(0))
            return counter, heads[tenant].id

        return heads[min(heads, key=turn)] if heads else None

    def commit(self, stopped: tuple[int, ...]) -> list[int]:
        """Charge what was done; who is over by it, in order of ids."""
        step = self._answered()
        for id_ in step.enter:
            request = self.live[id_]
            request.admitted = True
            self.members.append(request)
            cost = self.prompt_price(request.tenant) * request.prompt
            self.counters[request.tenant] += cost
            if not self.queue(request.tenant):
                self.left(request.tenant)
            self.look()
        for id_, positions in step.chunks.items():
            self.live[id_].computed += positions
        for id_ in [*step.decodes, *step.sampling]:
            self.live[id_].produced += 1
            tenant = self.live[id_].tenant
            self.counters[tenant] += self.output_price(tenant)
        self.look()
        full = [i for i, r in self.live.items() if r.produced == r.max_tokens]
        over = sorted({*full, *stopped})
        told = [id_ for id_ in over if not self.live[id_].cancelled]
        for id_ in over:
            self._end(self.live[id_])
        self._end_cancelled()
        self._arrive()
        return told

    def fail(self) -> None:
        """Nothing happened, except to those who were cancelled meanwhile."""
        self._answered()
        self._end_cancelled()
        self._arrive()

    def _answered(self) -> VtcStep:
        step, self.step = self.step, None
        assert step is not None
        return step

    def _arrive(self) -> None:
        """Who came meanwhile begins to wait; those come first who came first.

        Who has older requests has waited all the time. Who has none has left the
        queue with this answer, and joins again.
        """
        arriving = [each for each in self.live.values() if each.arriving]
        for each in arriving:
            if self.queue(each.tenant)[0] is each:
                self.left(each.tenant)
        for each in arriving:
            self.joins(each.tenant)
            each.arriving = False

    def _end_cancelled(self) -> None:
        for request in [each for each in self.live.values() if each.cancelled]:
            self._end(request)

    def _end(self, request: VtcRequest) -> None:
        """It is gone; prompt positions that were charged for nothing are refunded."""
        del self.live[request.id]
        if not request.admitted:
            if not self.queue(request.tenant):
                self.left(request.tenant)
            return
        self.members.remove(request)
        self.look()
        unused = self.prompt_price(request.tenant) * (request.prompt - request.computed)
        self.counters[request.tenant] -= unused
