"""Tables, pins and the prefix tree of one pool, beside the list of all entries.

What is done here a kernel does too, but it would seldom do it in this order.
"""

from collections.abc import Sequence as Some
from collections.abc import Set as AbstractSet

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from fairq import PrefixCache, Request, RequestId, TokenIds
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._clock import StepClock
from fairq.kernel._pins import Pins
from fairq.kernel._sequence import Sequence
from fairq.kernel._tables import Grant, Tables
from property_tests.parts import make_tenant
from property_tests.prefixes.memory import domain_of
from property_tests.prefixes.naive_tree import Entry, Key, NaiveTree, Text

CACHE = PrefixCache(groups={"a": "g", "b": "g"}, max_pinned_blocks=4)
TENANTS = ("a", "b", "g")
NOBODYS = Entry(-1)
LOOKS = 6
"""Texts that are looked for after every move: those that came last."""
tokens = st.sampled_from([1, 1, 1, 2])
texts = st.lists(tokens, min_size=1, max_size=9).map(tuple)


@attrs.define(eq=False)
class Table:
    """A sequence, and where its table ends in the list."""

    sequence: Sequence
    domain: object
    end: Key
    computed: int

    @property
    def text(self) -> Text:
        return tuple(self.sequence.tokens())


class TablesMachine(RuleBasedStateMachine):
    """Sequences that come, compute and go, in a pool that is too small for them."""

    ledger: BlockLedger

    @initialize(blocks=st.integers(4, 14), size=st.sampled_from([1, 1, 2]))
    def start(self, blocks: int, size: int) -> None:
        self.size = size
        self.ledger = BlockLedger(blocks, size)
        self.tables = Tables(self.ledger, CACHE)
        self.pins = Pins(self.ledger, CACHE)
        self.naive = NaiveTree(size)
        self.free = blocks
        self.waiting: list[Sequence] = []
        self.members: list[Table] = []
        self.pinned: list[tuple[str, Text, Key]] = []
        self.asked: list[Request] = []
        self.count = 0

    # --- oracle -----------------------------------------------------------------------

    def taken(self, count: int, blocks: Some[int]) -> None:
        """Blocks that were taken just now: free ones first, then the least recent."""
        free = min(count, self.free)
        assert self.naive.evict(count - free) == [*blocks[free:]]
        self.free -= free

    def domain(self, sequence: Sequence) -> object:
        return domain_of(CACHE, sequence.request)

    # --- requests ---------------------------------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), text=texts, lora=st.booleans())
    def arrive(self, tenant: str, text: Text, *, lora: bool) -> None:
        adapter = "lora" if lora and 1 not in text[:1] else None
        request = Request(tenant=tenant, prompt=text, max_tokens=9, adapter=adapter)
        owner = make_tenant(StepClock(), tenant)
        id_ = RequestId(self.count)
        self.count += 1
        self.waiting.append(Sequence(id_, request, owner, 0, len(text)))
        self.asked.append(request)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """A search goes on from where the last one ended."""
        self.found(data.draw(st.sampled_from(self.waiting)))

    def found(self, sequence: Sequence) -> int:
        text = tuple(sequence.tokens())
        hit = self.tables.find(sequence)
        most = (len(text) - 1) // self.size
        expected = self.naive.find(self.domain(sequence), text, most)
        assert expected == (hit.depth, hit.coming)
        return hit.depth

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), fails=st.booleans())
    def admit(self, data: st.DataObject, *, fails: bool) -> None:
        """One plan; it fails, or all of them enter."""
        count = data.draw(st.integers(1, min(3, len(self.waiting))))
        drawn: list[tuple[Table, Grant]] = []
        for sequence in self.waiting[:count]:
            granted = self._grant(sequence)
            if granted is not None:
                drawn.append(granted)
        for table, grant in reversed(drawn) if fails else drawn:
            if fails:
                self._revoke(table, grant)
            else:
                self.tables.enter(table.sequence, grant)
                self.waiting.remove(table.sequence)
                self.members.append(table)

    def _grant(self, sequence: Sequence) -> tuple[Table, Grant] | None:
        depth = self.found(sequence)
        hit = self.tables.find(sequence)
        text, domain = tuple(sequence.tokens()), self.domain(sequence)
        count = self.ledger.blocks_for(sequence.known + 1)
        path = self.naive.keys(domain, text, depth)
        unheld = sum(not self.naive.is_held(key) for key in path)
        assert count - depth + unheld == self.tables.needs(count, hit)
        if count - depth + unheld > self.ledger.available:
            return None
        run = self.naive.blocks(domain, text, depth)
        end = domain, text[: depth * self.size]
        self.naive.locks.append(end)  # before anything is taken
        grant = self.tables.grant(sequence, hit, count)
        self.taken(count - depth, grant.fresh)
        assert run + grant.fresh == grant.blocks
        assert depth == grant.cached
        table = Table(sequence, domain, end, depth * self.size)
        self._announce(table, grant.fresh)
        return table, grant

    def _announce(self, table: Table, fresh: Some[int]) -> None:
        """What it will compute others can see coming, unless somebody is at it."""
        text, depth = table.text, len(table.end[1]) // self.size
        full = len(text) // self.size
        keys = self.naive.keys(table.domain, text, full)[depth:]
        if not keys or keys[0] in self.naive.entries:
            return
        for key, block in zip(keys, fresh, strict=False):
            self.naive.add(key, block, table.sequence.id)
        self._move(table, keys[-1])

    def _move(self, table: Table, end: Key) -> None:
        self.naive.locks.remove(table.end)
        self.naive.locks.append(end)
        table.end = end

    def _revoke(self, table: Table, grant: Grant) -> None:
        self.tables.revoke(table.sequence, grant)
        self.naive.withdraw(table.sequence.id)
        self.naive.locks.remove(table.end)
        self.naive.use((table.domain, table.text[: grant.cached * self.size]))
        self.free += len(grant.fresh)

    # --- members ----------------------------------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), text=texts)
    def come_and_go(self, tenant: str, text: Text) -> None:
        """The whole life of one request, if there is room."""
        self.arrive(tenant, text, lora=False)
        sequence = self.waiting.pop()
        granted = self._grant(sequence)
        if granted is not None:
            table, grant = granted
            self.tables.enter(sequence, grant)
            self._compute(table, len(text) - table.computed, 1)
            self._leave(table)

    @precondition(lambda self: self.members)
    @rule(data=st.data(), count=st.integers(1, 9), token=tokens)
    def compute(self, data: st.DataObject, count: int, token: int) -> None:
        table = data.draw(st.sampled_from(self.members))
        self._compute(table, count, token)

    def _compute(self, table: Table, count: int, token: int) -> None:
        """Known tokens first, then outputs; a block more where one begins."""
        sequence = table.sequence
        for _ in range(count):
            if table.computed == sequence.known:
                sequence.outputs.append(token)
            if table.computed == self.size * len(sequence.blocks):
                if not self.ledger.available:
                    break
                block = self.ledger.take(1)
                self.taken(1, block)
                sequence.blocks += block
            table.computed += 1
        sequence.computed = table.computed
        self.tables.computed(sequence)
        for key in self.naive.keys(table.domain, table.text, self._full(table)):
            if self.naive.entries.get(key, NOBODYS).owner == sequence.id:
                self.naive.entries[key].owner = None

    def _full(self, table: Table) -> int:
        return table.computed // self.size

    @precondition(lambda self: self.members)
    @rule(data=st.data(), comes_back=st.booleans())
    def leave(self, data: st.DataObject, *, comes_back: bool) -> None:
        """It is over, or was preempted: then it waits with its outputs."""
        table = data.draw(st.sampled_from(self.members))
        self.members.remove(table)
        self._leave(table)
        if comes_back:
            table.sequence.computed = 0
            self.waiting.append(table.sequence)
            request = table.sequence.request
            self.asked.append(attrs.evolve(request, prompt=table.text))

    def _leave(self, table: Table) -> None:
        sequence = table.sequence
        blocks = list(sequence.blocks)
        before = self.ledger.free
        self.tables.release(sequence, table.computed)
        freed = {*self.ledger.free_blocks()[before:]}
        self.naive.withdraw(sequence.id)
        self.naive.locks.remove(table.end)
        self._keep(table, blocks, freed)
        self.free = self.ledger.free
        assert [] == sequence.blocks

    def _keep(self, table: Table, blocks: Some[int], freed: AbstractSet[int]) -> None:
        """Its full blocks joined, but for those that are there already."""
        keys = self.naive.keys(table.domain, table.text, self._full(table))
        end: Key = (table.domain, ())
        for index, (key, block) in enumerate(zip(keys, blocks, strict=False)):
            entry = self.naive.entries.get(key)
            if entry is None and block in freed:
                # Of what goes on where somebody is computing nothing is kept.
                assert self._is_coming(keys[: index + 1])
                break
            if entry is None:
                self.naive.add(key, block)
            else:
                assert (block in freed) == (block != entry.block)
            end = key
        assert {*blocks[len(keys) :]} <= freed
        self.naive.use(end)

    def _is_coming(self, path: list[Key]) -> bool:
        """Whether somebody is computing what goes on from one of these."""
        return any(
            each.owner is not None and key[0] == path[0][0]
            for key, each in self.naive.entries.items()
        )

    # --- pins, and other people's needs -----------------------------------------------

    @rule(tenant=st.sampled_from(TENANTS), text=texts)
    def pin(self, tenant: str, text: Text) -> None:
        if any((tenant, text) == each[:2] for each in self.pinned):
            return
        domain = domain_of(CACHE, Request(tenant=tenant, prompt=text, max_tokens=1))
        if any(each[1] == text and each[2][0] == domain for each in self.pinned):
            return
        depth, _ = self.naive.find(domain, text, len(text) // self.size)
        if self.pins.pinned + depth > CACHE.max_pinned_blocks:
            return
        count = self.pins.pin(tenant, TokenIds(text), None)
        assert depth * self.size == count
        if depth:
            end = domain, text[:count]
            self.naive.locks.append(end)
            self.pinned.append((tenant, text, end))

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        which = data.draw(st.integers(0, len(self.pinned) - 1))
        tenant, text, end = self.pinned.pop(which)
        self.pins.unpin(tenant, TokenIds(text), None)
        self.naive.locks.remove(end)
        self.naive.use(end)

    @rule(data=st.data())
    def need(self, data: st.DataObject) -> None:
        """Somebody takes blocks, and gives them back empty."""
        count = data.draw(st.integers(0, self.ledger.available))
        blocks = self.ledger.take(count)
        self.taken(count, blocks)
        self.ledger.give_back(blocks)
        self.free += count

    # --- what is compared -------------------------------------------------------------

    @invariant()
    def counts_are_those_of_the_list(self) -> None:
        if not hasattr(self, "ledger"):
            return
        tree = self.ledger.tree
        assert (self.naive.held, self.naive.cached) == (tree.held, tree.cached)
        assert self.naive.cached + self.free == self.ledger.available

    @invariant()
    def whatever_is_looked_for_is_found_as_in_the_list(self) -> None:
        if not hasattr(self, "ledger"):
            return
        tree = self.ledger.tree
        for request in self.asked[-LOOKS:]:
            text, most = tuple(request.prompt), len(request.prompt) // self.size
            root = tree.root(CACHE.namespace(request.tenant, request.adapter))
            hit = tree.find(root, request.prompt.raw, most)
            expected = self.naive.find(domain_of(CACHE, request), text, most)
            assert expected == (hit.depth, hit.coming)
