"""When two states are the same: whatever is done to both, they do alike.

The key has everything that a later call or check can depend on, and nothing else, so
that paths meet again and the graph stays finite and small. What is left out, and why
that is sound:

* The tick, step ids and request ids: the kernel compares ticks with ticks and ids with
  ids, never with numbers. Ticks are noted relative to now, ids by their order.
* The names of blocks and slots. The kernel moves names between pools and tables and
  decides by how many there are; renaming them everywhere commutes with every call.
  Blocks are numbered as they appear, which keeps who shares one with whom; those that
  are free appear nowhere else, so their order is a matter of names too. Slots appear
  once each.
* Where the counters are. Only differences count, so they are noted above the floor; of
  a tenant that does not run and takes no turns only by how much it is above, because it
  will be lifted to the floor first. A discipline without a gate has no floor: there it
  stays at 0, and the counters are noted as they are.
* Totals (preemptions, positions recomputed, service so far): written and not read. That
  service agrees with the model is checked in every state, so both may be left out.
* What follows from the rest, as ``Kernel.check`` and ``checks`` verify in every
  state *before* its key is taken: the calendar, the heaps (all their bounds are lower
  bounds, so their tops are exact), rates and offsets, who is over and leaves, the
  model.

``test_worlds`` compares states with equal keys, and finds each part that is missing.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Final

import attrs

from fairq import RequestId
from fairq.kernel._admission import Optimistic, Reserve
from fairq.kernel._draft import Draft
from fairq.kernel._kernel import Kernel
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.kernel._tenant import Tenant
from property_tests.worlds.state import State
from property_tests.worlds.world import TENANTS

PHASES: Final = tuple(Phase)


def _tag(sequence: Sequence) -> object:
    """Which request of the world it is."""
    return sequence.request.sampling


def _tags(kernel: Kernel, ids: Iterable[RequestId]) -> list[object]:
    sequences = kernel._life.sequences
    return [_tag(sequences[id_]) for id_ in ids]


# --- requests -----------------------------------------------------------------------


def _requests(state: State) -> object:
    """The live ones in the order of arrival, and how far they have come."""
    return [
        (
            _tag(sequence),
            PHASES.index(sequence.phase),
            sequence.produced,
            sequence.reached,
            sequence.paid,
            sequence.prepaid,
        )
        for sequence in state.kernel._life.sequences.values()
    ]


def _positions(state: State) -> object:
    """What has KV now, and what begins a block without asking for one."""
    clock = state.kernel._life.clock
    return [
        (
            sequence.computed + clock.tick - sequence.joined,
            sequence.joined == clock.tick,
        )
        if sequence.phase is Phase.DECODING
        else sequence.computed
        for sequence in state.kernel._life.sequences.values()
    ]


def _collected(state: State) -> object:
    """Tokens that are still in the log, and how long that is.

    Collecting them early or late cannot be seen; so this is more than it takes.
    """
    life = state.kernel._life
    lags = [
        life.clock.tick - sequence.collected
        for sequence in life.sequences.values()
        if sequence.phase is Phase.DECODING
    ]
    return len(life.batch._log), lags


def _order(state: State) -> object:
    """Members in the order in which they began prompts, and to decode."""
    batch = state.kernel._life.batch
    return _tags(state.kernel, batch.prefilling), _tags(state.kernel, batch.decodes)


def _told_again(state: State) -> object:
    """Who was thrown out by a step that failed: the next plan says so once more."""
    life = state.kernel._life
    return _tags(state.kernel, (id_ for id_ in life.leaving if id_ in life.sequences))


def _doomed(state: State) -> object:
    """Who is cancelled and in the outstanding plan, in order."""
    return _tags(state.kernel, state.kernel._cancelled)


def _failures(state: State) -> object:
    """Failed steps in a row."""
    failures = state.kernel._failures
    return [failures.get(id_, 0) for id_ in state.kernel._life.sequences]


# --- room ---------------------------------------------------------------------------


def _blocks(state: State) -> object:
    """Who holds which blocks, numbered as they appear; all others are free."""
    kernel = state.kernel
    names: dict[int, int] = {}
    tables = [sequence.blocks for sequence in kernel._life.sequences.values()]
    draft = kernel._draft
    if draft is not None:
        tables += [draft.grown, *(grant.blocks for grant in draft.granted())]
    return [[names.setdefault(block, len(names)) for block in each] for each in tables]


def _room(state: State) -> object:
    """How much is free."""
    life = state.kernel._life
    return life.ledger.free, life.batch.free_slots


def _rule(state: State) -> object:
    """What the admission rule remembers between plans."""
    rule = state.kernel._life.rule
    match rule:
        case Reserve():
            return rule._promised
        case Optimistic():
            return rule._margin, rule._mean, rule._granted
        case _:
            raise TypeError(rule)


# --- tenants ------------------------------------------------------------------------


def _above(state: State, tenant: Tenant) -> int:
    counters = state.kernel._life.counters
    above = tenant.counter - counters._floor
    if tenant.running or tenant in counters.backlogged:
        return above
    return max(0, above)


def _counters(state: State) -> object:
    """How far each tenant is above the floor; None for those that are forgotten."""
    tenants = state.kernel._life.counters.tenants
    return [
        _above(state, tenants[name]) if name in tenants else None for name in TENANTS
    ]


def _last_left(state: State) -> object:
    """Who sets the floor when nobody waits."""
    last = state.kernel._life.counters._last_left
    return -1 if last is None else TENANTS.index(last.name)


def _turns(state: State) -> object:
    """Who takes turns."""
    counters = state.kernel._life.counters
    tenants = [counters.tenants.get(name) for name in TENANTS]
    return [tenant in counters.backlogged for tenant in tenants]


def _arriving(state: State) -> object:
    """Who arrived during the step, in order, behind how many of its own."""
    return [
        (TENANTS.index(tenant.name), sum(id_ < first for id_ in tenant.waiting))
        for tenant, first in state.kernel._life.arriving.items()
    ]


# --- the outstanding plan, and the world --------------------------------------------


def _draft(state: State) -> object:
    """What will become true with the answer."""
    draft = state.kernel._draft
    return None if draft is None else (_members(state, draft), _entries(draft))


def _members(state: State, draft: Draft) -> object:
    chunked = _tags(state.kernel, (chunk.request_id for chunk in draft.chunks))
    work = [(chunk.start, chunk.length, chunk.samples) for chunk in draft.chunks]
    growing = [_tag(sequence) for sequence in draft.growing]
    return growing, chunked, work, [_tag(sequence) for sequence in draft.preempted]


def _entries(draft: Draft) -> object:
    return [(_tag(entry.sequence), entry.charge) for entry in draft.entries]


def _ahead(state: State) -> object:
    """What may still be asked, cancelled and made to fail."""
    return state.asked, state.cancels, state.failures


Part = Callable[[State], object]
PARTS: Final[tuple[Part, ...]] = (
    _requests,
    _positions,
    _collected,
    _order,
    _told_again,
    _doomed,
    _failures,
    _blocks,
    _room,
    _rule,
    _counters,
    _last_left,
    _turns,
    _arriving,
    _draft,
    _ahead,
)


@attrs.frozen
class Key:
    """Names states: equal names for states that do alike."""

    parts: tuple[Part, ...] = PARTS

    def of(self, state: State) -> list[object]:
        """Everything that matters."""
        return [part(state) for part in self.parts]

    def digest(self, state: State) -> bytes:
        """The same in 16 bytes; two of a million differ in vain once in 10**26."""
        return blake2b(repr(self.of(state)).encode(), digest_size=16).digest()

    def without(self, name: str) -> "Key":
        """A key that is too coarse."""
        return Key(tuple(part for part in self.parts if part.__name__ != f"_{name}"))
