"""Who pays for which prompt position, counted one by one.

A position of a prompt is computed once for the first time, or found: whatever comes
first; it is never paid for again. Shares go from one tenant to another.
"""

from collections import Counter
from collections.abc import Set as AbstractSet

import attrs

from fairq import Events, Request, Share, Snapshot, StepPlan


@attrs.define
class Account:
    """What one request has had."""

    tenant: str
    prompt: int
    paid: int = 0
    """Positions computed or found."""
    computed: int = 0
    """Those of them that were computed."""
    given: int = 0
    """Positions that others have taken over."""
    taken: int = 0
    """Positions it has taken over."""
    admitted: bool = False
    outputs: int = 0

    @property
    def borne(self) -> int:
        """Positions that it pays for in the end."""
        return self.computed - self.given + self.taken


class Accounts:
    """Of everybody, and by tenant since the kernel last forgot it."""

    def __init__(self) -> None:
        self.of: dict[int, Account] = {}
        self.computed: Counter[str] = Counter()
        """Prompt positions by who bears them."""
        self.found: Counter[str] = Counter()
        self.outputs: Counter[str] = Counter()
        self.first_computed = 0
        self.ever_found = 0

    def open(self, number: int, request: Request) -> None:
        """A request was submitted."""
        self.of[number] = Account(request.tenant, len(request.prompt))

    def book(self, plan: StepPlan, events: Events) -> None:
        """A step was executed."""
        for enter in plan.enter:
            account = self.of[enter.request_id]
            account.admitted = True
            new = max(0, min(enter.cached, account.prompt) - account.paid)
            account.paid += new
            self.found[account.tenant] += new
            self.ever_found += new
        for chunk in plan.chunks:
            account = self.of[chunk.request_id]
            end = min(chunk.start + chunk.length, account.prompt)
            new = max(0, end - account.paid)
            account.paid += new
            account.computed += new
            self.computed[account.tenant] += new
            self.first_computed += new
        for number in events.tokens:
            self.of[number].outputs += 1
            self.outputs[self.of[number].tenant] += 1
        for share in events.shares:
            self._move(share)
        for share in events.shares:
            # Parts are equal, and what does not divide stays with who computed it.
            payer = self.of[share.payer]
            assert share.tokens <= payer.computed - payer.given

    def _move(self, share: Share) -> None:
        payer, member = self.of[share.payer], self.of[share.member]
        assert share.tokens > 0
        assert payer.tenant != member.tenant
        self.computed[payer.tenant] -= share.tokens
        self.computed[member.tenant] += share.tokens
        payer.given += share.tokens
        member.taken += share.tokens
        # Nobody gets back more than it has spent.
        assert payer.given <= payer.computed

    def prepaid(self, live: AbstractSet[int], tenant: str) -> int:
        """Positions charged and not computed yet: the rest of admitted prompts."""
        mine = (self.of[number] for number in live if self.of[number].tenant == tenant)
        return sum(each.prompt - each.paid for each in mine if each.admitted)

    def compare(self, snapshot: Snapshot) -> None:
        """The kernel says the same, of each tenant that it has not forgotten."""
        said = {each.tenant: each for each in snapshot.tenants}
        for name in {*self.computed, *self.outputs, *self.found} - said.keys():
            del self.computed[name], self.found[name], self.outputs[name]
        for name, each in said.items():
            mine = (self.computed[name], self.outputs[name])
            assert mine == (each.prompt_tokens, each.output_tokens)
        assert self.ever_found == snapshot.cached_tokens
