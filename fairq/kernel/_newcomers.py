"""Who is admitted in one plan: tenants by turn, inside the gate by the policy's order.

A request whose prefix is just being computed by another is held back, for a bounded
number of plans: it would compute the same once more. Others go ahead of it meanwhile.
"""

from collections.abc import Iterator
from typing import Final

from fairq.cost import SCALE
from fairq.disciplines import width
from fairq.kernel._admission import blocks_now
from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._node import Hit
from fairq.kernel._ranks import Choice, rank_of
from fairq.kernel._sequence import Sequence
from fairq.kernel._tenant import Tenant
from fairq.order import Order
from fairq.policy import Policy

LOOKAHEAD: Final = 32
"""Tenants that are looked at in one plan besides those that are admitted in turn."""
WINDOW: Final = 64
"""The oldest requests of a tenant among which its next one is chosen."""


class Gatekeeper:
    """What stays the same from plan to plan.

    Args:
        lifecycle: The live requests.
        policy: Order, gate, patience, and the cap on commitments.
    """

    __slots__ = (
        "cap",
        "in_turn",
        "life",
        "max_wait",
        "patience",
        "rank",
        "turn",
        "width",
    )

    def __init__(self, lifecycle: Lifecycle, policy: Policy) -> None:
        self.life = lifecycle
        self.turn = policy.discipline.turn
        self.width = width(policy.discipline)
        self.in_turn = policy.order is Order.FIFO
        self.rank = rank_of(policy.order, lifecycle.tables)
        self.patience = policy.patience
        cache = policy.prefix_cache
        self.max_wait = 0 if cache is None else cache.max_wait
        cap = policy.commitment
        self.cap = None if cap is None else round(SCALE * cap)


class Newcomers:
    """The admissions of one plan, in the making."""

    __slots__ = ("_draft", "_held", "_keeper", "_life", "_open", "_touched", "_turn")

    def __init__(self, draft: Draft, keeper: Gatekeeper) -> None:
        self._draft = draft
        self._keeper = keeper
        self._life = keeper.life
        self._turn = keeper.turn
        self._touched: dict[Tenant, None] = {}
        self._held: dict[Sequence, None] = {}
        self._open: dict[Tenant, Choice | None] = {}
        """Tenants out of the heap, and whom each would send; None for nobody."""

    def admit(self) -> None:
        """Let tenants in until budget, slots, blocks or tenants run out."""
        self._life.rule.begin(self._draft.available)
        if self._keeper.in_turn:
            self._admit_in_turn()
        else:
            self._admit_by_order()
        for tenant in self._touched:
            tenant.forget_draft()
            self._life.counters.backlogged.add(tenant)

    def _has_room(self) -> bool:
        return self._draft.budget > 0 and self._life.batch.free_slots > 0

    # --- one tenant after the other ---------------------------------------------------

    def _admit_in_turn(self) -> None:
        """Whoever is first is inside the gate.

        When its request does not fit, others may pass it that are within the width of
        the gate.
        """
        backlogged = self._life.counters.backlogged
        gate: int | None = None
        lookahead = LOOKAHEAD
        while lookahead and self._has_room():
            tenant = backlogged.top()
            if tenant is None or (gate is not None and self._turn(tenant) > gate):
                break
            self._touched[tenant] = None
            choice = self._oldest(tenant)
            if choice is not None and self._is_capped(tenant, choice):
                choice = None
            if choice is not None and self._try(tenant, choice):
                continue
            if self._keeper.width is None and choice is not None:
                break
            if gate is None and self._keeper.width is not None:
                gate = self._turn(tenant) + self._keeper.width
            backlogged.discard(tenant)
            lookahead -= 1

    def _oldest(self, tenant: Tenant) -> Choice | None:
        """The oldest request of a tenant that is not held back."""
        head = tenant.head()
        assert head is not None  # noqa: S101  # backlogged tenants have one
        hit = self._life.tables.find(head)
        if not self._hold_back(head, hit):
            return Choice(head, hit)
        return next(self._choices(tenant), None)

    # --- the best of several ----------------------------------------------------------

    def _admit_by_order(self) -> None:
        while self._has_room():
            best = self._best()
            if best is None:
                break
            sequence, tenant = best.sequence, best.sequence.tenant
            # What was found before may be gone: others have been admitted since.
            hit = self._life.tables.find(sequence)
            choice = Choice(sequence, hit)
            if self._hold_back(sequence, hit):
                self._open[tenant] = self._preferred(tenant)
            elif self._is_capped(tenant, choice) or not self._try(tenant, choice):
                self._open[tenant] = None
            elif tenant.head() is None:
                del self._open[tenant]
            else:
                self._open[tenant] = self._preferred(tenant)

    def _best(self) -> Choice | None:
        """Of the tenants inside the gate, the request that goes first."""
        gate = self._open_gate()
        found: tuple[tuple[int, int, int], Choice] | None = None
        for tenant, choice in self._open.items():
            turn = self._turn(tenant)
            if choice is not None and turn <= gate:
                key = (self._keeper.rank(choice), turn, choice.sequence.id)
                if found is None or key < found[0]:
                    found = key, choice
        return None if found is None else found[1]

    def _open_gate(self) -> int:
        """Take the tenants inside the gate out of the heap; the largest turn inside."""
        backlogged, turn = self._life.counters.backlogged, self._turn
        lowest = min(map(turn, self._open), default=None)
        while (tenant := backlogged.top()) is not None:
            lowest = turn(tenant) if lowest is None else min(lowest, turn(tenant))
            if turn(tenant) > lowest + self._width or len(self._open) >= LOOKAHEAD:
                break
            backlogged.discard(tenant)
            self._open[tenant] = self._preferred(tenant)
            self._touched[tenant] = None
        return 0 if lowest is None else lowest + self._width

    @property
    def _width(self) -> int:
        # Without a gate only the first goes, but its own requests in any order.
        return self._keeper.width or 0

    def _preferred(self, tenant: Tenant) -> Choice | None:
        """The request that a tenant would send first."""
        choices = self._choices(tenant)
        if tenant.passing >= self._keeper.patience:
            return next(choices, None)
        rank = self._keeper.rank
        return min(choices, key=rank, default=None)

    def _choices(self, tenant: Tenant) -> Iterator[Choice]:
        """The oldest requests of a tenant that are not held back, by age."""
        for sequence in tenant.oldest_few(WINDOW):
            hit = self._life.tables.find(sequence)
            if not self._hold_back(sequence, hit):
                yield Choice(sequence, hit)

    # --- one request ------------------------------------------------------------------

    def _hold_back(self, sequence: Sequence, hit: Hit) -> bool:
        """Whether a request waits for somebody who computes its prefix."""
        if hit.coming is None:
            return False
        if sequence in self._held:
            return True
        if sequence.held_back >= self._keeper.max_wait:
            return False
        self._held[sequence] = None
        sequence.held_back += 1
        return True

    def _try(self, tenant: Tenant, choice: Choice) -> bool:
        """Admit a request, if it fits."""
        sequence, hit = choice.sequence, choice.hit
        life = self._life
        blocks = blocks_now(sequence, life.ledger)
        needed = life.tables.needs(blocks, hit)
        cached = hit.depth * life.ledger.size
        unpaid = sequence.unpaid_after(cached)
        outputs = sequence.request.max_tokens - sequence.produced
        if not life.rule.fits(sequence, needed, hit.depth):
            return False
        grant = life.tables.grant(sequence, hit, blocks)
        life.rule.draw(sequence, needed, grant.own)
        charge = tenant.prompt_price * unpaid
        if cached:
            charge += tenant.cached_price * sequence.found_positions(cached)
        self._draft.admit(sequence, grant, charge)
        tenant.draw(sequence, charge, outputs)
        if tenant.head() is None:
            life.counters.backlogged.discard(tenant)
        return True

    def _is_capped(self, tenant: Tenant, choice: Choice) -> bool:
        """Whether a tenant with members would pass the cap with one more request."""
        cap = self._keeper.cap
        if cap is None or not (tenant.running or tenant.has_drawn):
            return False
        sequence = choice.sequence
        prompt = sequence.unpaid_after(choice.hit.depth * self._life.ledger.size)
        outputs = sequence.request.max_tokens - sequence.produced
        owed = tenant.owed + tenant.pending_outputs + outputs
        prompts = tenant.prompt_price * (tenant.prepaid + prompt) + tenant.pending
        return prompts + tenant.output_price * owed > cap
