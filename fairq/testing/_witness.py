"""A backend that believes nothing: it checks each plan against a batch of its own.

It knows nothing of fairness; it knows what a backend could not execute.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import attrs

from fairq.backend import Capacity
from fairq.plan import BlockId, Chunk, DecodeSet, Enter, StepPlan, StepResult
from fairq.request import RequestId
from fairq.testing._contents import NOTHING, Contents


def made_up(request_id: int, number: int) -> int:
    """The token that a sequence produces, counted from 0; what is asked is no matter.

    A pure function, so that a token that is lost or repeated shows.
    """
    return 1000 * (request_id + 1) + number


def sampled(plan: StepPlan) -> list[RequestId]:
    """Everybody who gets a token in a step: decodes, then chunks that sample."""
    return [*plan.decodes, *(c.request_id for c in plan.chunks if c.samples)]


def frozen(plan: StepPlan) -> StepPlan:
    """A copy of a plan whose ``decodes`` do not follow the kernel."""
    slots = {id_: plan.decodes.slot(id_) for id_ in plan.decodes}
    return attrs.evolve(plan, decodes=DecodeSet(slots))


def expect(truth: object, said: str) -> None:
    """Like ``assert``, and also where Python strips those.

    Raises:
        AssertionError: it is not true; ``said`` is what was expected and what came.
    """
    if not truth:
        raise AssertionError(said)


@attrs.define
class Member:
    """A sequence as the backend sees it."""

    slot: int
    tokens: list[int]
    blocks: list[BlockId]
    computed: int = 0
    full: list[int] = attrs.field(factory=list)
    """By full block, the number of what it holds."""


class Witness:
    """A ``SyncBackend`` that checks what it is told, and makes up tokens.

    It finds a block that two tables write, a cached block that holds other tokens or
    none, a slot that two members share, a position
    without a block, a chunk that leaves a gap, a token that was lost, and so on. Each
    step costs O(batch and its tables) in time; every token produced is kept.

    Its tokens depend on the number of a request, so ``check_backend`` passes it only
    with ``deterministic=False``.

        witness = Witness(capacity)
        events = kernel.commit(witness.step(plan))

    Args:
        capacity: What it pretends to hold.

    Attributes:
        capacity: As given.
        produced: By request, every token it has produced, also when it is over.
        positions: Positions computed, in all steps together.
    """

    def __init__(self, capacity: Capacity) -> None:
        self.capacity = capacity
        self.produced: dict[RequestId, list[int]] = {}
        self.positions = 0
        self._members: dict[RequestId, Member] = {}
        self._contents = Contents(capacity.block_size)

    def step(self, plan: StepPlan) -> StepResult:
        """Check a plan, and answer it with made-up tokens.

        Raises:
            AssertionError: a backend could not execute it. The witness has executed
                a part of it then; do not use it again.
        """
        return self.execute(plan)

    def close(self) -> None:
        """Nothing to release; it is there because backends have it."""

    def execute(
        self,
        plan: StepPlan,
        stopped: tuple[RequestId, ...] = (),
        tokens: Mapping[RequestId, int] | None = None,
    ) -> StepResult:
        """The same with an answer of the caller's choice.

        Args:
            plan: What to do.
            stopped: Sequences whose token ends them.
            tokens: The tokens; made up when left out.

        Raises:
            AssertionError: as ``step``.
        """
        tokens = self.answer(plan) if tokens is None else tokens
        self._change_batch(plan)
        self._check_tables()
        self._check_shared(plan)
        for request_id in plan.decodes:
            self._decode(request_id, plan.decodes.slot(request_id))
        for chunk in plan.chunks:
            self._compute(chunk, plan)
        for request_id in sampled(plan):
            self._sample(request_id, tokens)
        self.positions += plan.tokens
        return StepResult(plan.step_id, tokens, stopped)

    def answer(self, plan: StepPlan) -> dict[RequestId, int]:
        """The tokens that it would make up for a plan. Changes nothing."""
        return {
            request_id: made_up(request_id, len(self.produced.get(request_id, ())))
            for request_id in sampled(plan)
        }

    # --- the batch ------------------------------------------------------------------

    def _change_batch(self, plan: StepPlan) -> None:
        for request_id in plan.leave:
            self._member(request_id, "leave")
            del self._members[request_id]
        for request_id, block in plan.grow:
            self._member(request_id, "grow").blocks.append(block)
            self._contents.claim([block])
        for enter in plan.enter:
            self._enter(enter)

    def _member(self, request_id: RequestId, where: str) -> Member:
        expect(
            request_id in self._members,
            f"Expected a member of the batch in {where}; got {request_id}.",
        )
        return self._members[request_id]

    def _enter(self, enter: Enter) -> None:
        name = f"request {enter.request_id}"
        expect(enter.request_id not in self._members, f"{name} enters twice.")
        expected = self.produced.setdefault(enter.request_id, [])
        actual = list(enter.tokens[enter.prompt_length :])
        expect(
            expected == actual,
            f"Expected {name} to enter with the tokens it has produced, {expected}; "
            f"got {actual}.",
        )
        full = self._cached(enter, name)
        self._contents.claim(enter.blocks[len(full) :])
        self._members[enter.request_id] = Member(
            enter.slot, list(enter.tokens), list(enter.blocks), enter.cached, full
        )

    def _cached(self, enter: Enter, name: str) -> list[int]:
        """What the cached blocks of a newcomer hold."""
        if not self.capacity.prefix_cache:
            expect(enter.cached == 0, f"Nothing is cached, but {name} says so.")
        size = self.capacity.block_size
        whole = enter.cached % size == 0
        expect(
            whole and 0 <= enter.cached < len(enter.tokens),
            f"Expected {name} to find whole blocks of {size} tokens, and not all of "
            f"its {len(enter.tokens)} tokens; got cached={enter.cached}.",
        )
        blocks = enter.blocks[: enter.cached // size]
        full = self._contents.follow(blocks, list(enter.tokens))
        expect(
            len(full) == len(blocks),
            f"Expected {name} to find its first {enter.cached} tokens in blocks; got "
            f"others, or none, after {size * len(full)} of them.",
        )
        return full

    def _check_tables(self) -> None:
        """Only full blocks may be in several tables: those are not written again."""
        members = self._members.values()
        named = Counter(block for member in members for block in member.blocks)
        size = self.capacity.block_size
        written = {
            block: named[block]
            for member in members
            for block in member.blocks[member.computed // size :]
        }
        slots = Counter(member.slot for member in members)
        _check_once(written, "block", "is in two tables")
        _check_range(named, self.capacity.blocks, "block")
        _check_once(slots, "slot", "has two members")
        _check_range(slots, self.capacity.max_sequences, "slot")

    def _check_shared(self, plan: StepPlan) -> None:
        for run in plan.shared:
            expect(
                run.blocks and len(run.members) > 1,
                f"Expected a run of blocks and two members; got {run}.",
            )
            for request_id in run.members:
                table = self._member(request_id, "shared").blocks
                expect(
                    run.blocks == tuple(table[: len(run.blocks)]),
                    f"Expected the table of request {request_id} to begin with blocks "
                    f"{list(run.blocks)}; got {table}.",
                )

    # --- work -----------------------------------------------------------------------

    def _position(self, request_id: RequestId, member: Member) -> None:
        """There is a block for the position that is computed next."""
        room = len(member.blocks) * self.capacity.block_size
        expect(
            member.computed < room,
            f"Request {request_id} has blocks for {room} positions; expected one for "
            f"position {member.computed}.",
        )
        member.computed += 1
        size = self.capacity.block_size
        if member.computed % size == 0:
            last = member.full[-1] if member.full else NOTHING
            own = member.tokens[member.computed - size : member.computed]
            block = member.blocks[len(member.full)]
            member.full.append(self._contents.fill(block, last, own))

    def _decode(self, request_id: RequestId, slot: int) -> None:
        member = self._member(request_id, "decodes")
        known, computed = len(member.tokens), member.computed
        expect(
            computed == known - 1,
            f"Expected request {request_id} to decode when all but its last token is "
            f"computed; got {computed} of {known}.",
        )
        expect(
            slot == member.slot,
            f"Expected request {request_id} to keep slot {member.slot}; got {slot}.",
        )
        self._position(request_id, member)

    def _compute(self, chunk: Chunk, plan: StepPlan) -> None:
        member = self._member(chunk.request_id, "chunks")
        expect(
            chunk.start == member.computed and chunk.length >= 1,
            f"Expected a chunk that goes on at {member.computed}; got {chunk}.",
        )
        expect(
            chunk.request_id not in plan.decodes,
            f"Request {chunk.request_id} is in chunks and in decodes.",
        )
        for _ in range(chunk.length):
            self._position(chunk.request_id, member)
        reached = member.computed == len(member.tokens)
        expect(
            chunk.samples == reached,
            f"Expected samples={reached}, with {member.computed} of "
            f"{len(member.tokens)} tokens computed; got {chunk}.",
        )

    def _sample(self, request_id: RequestId, tokens: Mapping[RequestId, int]) -> None:
        self.produced[request_id].append(tokens[request_id])
        self._members[request_id].tokens.append(tokens[request_id])


def _check_once(
    names: Mapping[BlockId, int] | Counter[int], what: str, twice: str
) -> None:
    for name, times in names.items():
        expect(times == 1, f"A {what} {twice}: {name}.")


def _check_range(names: Iterable[int], count: int, what: str) -> None:
    for name in names:
        expect(
            0 <= name < count,
            f"Expected {what}s 0 to {count - 1}; got {name}.",
        )
