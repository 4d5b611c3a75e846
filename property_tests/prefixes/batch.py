"""A backend that shares blocks, and checks with each plan that it may.

It keeps what it is promised and nothing else: the tables as plans have made them, and
what the blocks hold. A block keeps that after its sequence left.
"""

from collections.abc import Iterable, Mapping

import attrs

from fairq import Capacity, Enter, PrefixCache, Request, RequestId, StepPlan
from property_tests.prefixes.memory import KvMemory, Texts, domain_of


@attrs.define
class Member:
    """A sequence in the batch."""

    texts: list[int]
    """The numbers of its beginnings."""
    tokens: list[int]
    table: list[int]
    computed: int
    decodes: bool = False


class Batch:
    """The standing batch on its memory."""

    def __init__(self, capacity: Capacity, cache: PrefixCache | None) -> None:
        self.memory = KvMemory(capacity.blocks, capacity.block_size)
        self.size = capacity.block_size
        self.budget = capacity.tokens_per_step
        self._cache = cache
        self._texts = Texts()
        self.requests: dict[RequestId, Request] = {}
        self.members: dict[RequestId, Member] = {}

    def numbers(self, request: Request, tokens: Iterable[int]) -> list[int]:
        """What the positions of a text would hold."""
        return self._texts.of(domain_of(self._cache, request), list(tokens))

    # --- a plan ---------------------------------------------------------------------

    def execute(self, plan: StepPlan, tokens: Mapping[RequestId, int]) -> None:
        """Do what a plan says, all of it."""
        for id_ in plan.leave:
            del self.members[id_]
        for id_, block in plan.grow:
            self._take([block])
            self.members[id_].table.append(block)
        for enter in plan.enter:
            self._enter(enter)
        self._check_shared(plan)
        self._compute(plan)
        for id_, token in tokens.items():
            self._sample(id_, token)

    def spoil(self, plan: StepPlan) -> None:
        """Fail in the middle: the batch is as before, what the plan gave is not."""
        gone = {id_: m for id_, m in self.members.items() if id_ not in plan.leave}
        kept, self.members = self.members, gone
        for _, block in plan.grow:
            self._take([block])
            self.memory.destroy(block)
        for enter in plan.enter:
            fresh = enter.blocks[enter.cached // self.size :]
            self._take(fresh)
            for block in fresh:
                self.memory.destroy(block)
        self.members = kept

    def _take(self, blocks: Iterable[int]) -> None:
        """Blocks that will be written: nobody else has them."""
        mine = list(blocks)
        assert len(set(mine)) == len(mine)
        for member in self.members.values():
            assert not set(mine) & set(member.table)

    def _enter(self, enter: Enter) -> None:
        request = self.requests[enter.request_id]
        tokens, cached = list(enter.tokens), enter.cached
        assert 0 == cached % self.size
        # At least the last token is computed, or there were nothing to sample from.
        assert 0 <= cached < len(tokens) <= self.size * len(enter.blocks)
        texts = self.numbers(request, tokens)
        assert texts[:cached] == self.memory.read(enter.blocks, cached)
        self._take(enter.blocks[cached // self.size :])
        self.members[enter.request_id] = Member(
            texts, tokens, list(enter.blocks), cached
        )

    def _check_shared(self, plan: StepPlan) -> None:
        """Whoever shares a run begins with it, and has computed it or found it."""
        for shared in plan.shared:
            run = list(shared.blocks)
            assert run
            assert len(set(shared.members)) == len(shared.members) > 1
            for id_ in shared.members:
                member = self.members[id_]
                assert run == member.table[: len(run)]
                assert len(run) * self.size <= member.computed

    def _compute(self, plan: StepPlan) -> None:
        assert 0 < plan.tokens <= self.budget
        spans = [(c.request_id, c.start, c.start + c.length) for c in plan.chunks]
        for id_ in plan.decodes:
            start = self.members[id_].computed
            spans.append((id_, start, start + 1))
        for id_, start, end in spans:
            member = self.members[id_]
            assert start == member.computed
            for position in range(start, end):
                self.memory.write(member.table, position, member.texts[position])
            member.computed = end
        # All have written: nobody's text was written over by somebody else's.
        for member in self.members.values():
            known = member.texts[: member.computed]
            assert known == self.memory.read(member.table, member.computed)

    def _sample(self, id_: RequestId, token: int) -> None:
        member = self.members[id_]
        assert member.computed == len(member.tokens)
        member.tokens.append(token)
        member.texts = self.numbers(self.requests[id_], member.tokens)
        member.decodes = True

    # --- its blocks -----------------------------------------------------------------

    def held(self, live: Iterable[int]) -> set[int]:
        """Blocks in the tables of those."""
        tables = [m.table for id_, m in self.members.items() if id_ in live]
        return {block for table in tables for block in table}
