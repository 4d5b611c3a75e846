"""Serves requests by plans as odd as the protocol allows, and keeps what came."""

import copy
from collections import Counter
from random import Random  # noqa: TID251  # passed in, seeded by the test

import attrs
import torch

from fairq import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    RequestId,
    StepId,
    StepPlan,
    StepResult,
    TokenIds,
)
from property_tests.executor.books import Books, Life
from property_tests.executor.faulty import Faulty, Provoked
from property_tests.executor.models import Asked
from property_tests.executor.solo import Outcome, Solo

MOST_STEPS = 2_000


@attrs.frozen
class Odds:
    """How often each thing happens, at each opportunity."""

    fail: float = 0.08
    cancel: float = 0.03
    preempt: float = 0.06
    haunt: float = 0.5
    idle: float = 0.15


@attrs.define(eq=False)
class Driver:
    """A scheduler that does whatever comes into its mind, within the protocol."""

    backend: Faulty
    random: Random
    odds: Odds = attrs.field(factory=Odds)
    seen: Counter[str] = attrs.field(factory=Counter)
    outcomes: dict[int, Outcome] = attrs.field(factory=dict)
    cancelled: set[int] = attrs.field(factory=set)
    books: Books = attrs.field(init=False)
    leaving: list[int] = attrs.field(factory=list)
    steps: int = 0

    def __attrs_post_init__(self) -> None:
        capacity = self.backend.capacity
        slots = list(range(capacity.max_sequences))
        self.random.shuffle(slots)
        self.books = Books(capacity.block_size, [0] * capacity.blocks, slots)

    def serve(self, requests: list[Asked]) -> None:
        """Serve all of them, each to its end or until it is cancelled."""
        for name, asked in enumerate(requests):
            self.books.waiting.append(Life(name, asked))
            self.outcomes[name] = Outcome()
        while self.books.waiting or self.books.running:
            assert self.steps < MOST_STEPS
            self._step()

    def _step(self) -> None:
        self._interfere()
        self._make_room()
        fails = self._happens(self.odds.fail)
        before = copy.deepcopy(self.books)
        plan = self._plan()
        self.steps += 1
        if fails:
            self._fail(plan)
            # The next plan repeats who leaves; all else may come otherwise. But what
            # was in the blocks that the failed one claimed is gone.
            self.books = before
            self.books.forget(_claimed(plan, self.books.block_size))
        else:
            result = self.backend.step(plan)
            self.leaving = []
            self._take(plan, result)

    def _fail(self, plan: StepPlan) -> None:
        self.backend.fails = True
        try:
            self.backend.step(plan)
        except Provoked:
            self.seen["failed step"] += 1
        else:
            msg = "The step was to fail, and did not."
            raise AssertionError(msg)

    def _happens(self, odds: float) -> bool:
        # The upper end, because Hypothesis shrinks towards 0: to nothing happening.
        return self.random.random() >= 1 - odds

    # --- who leaves -------------------------------------------------------------------

    def _interfere(self) -> None:
        for life in list(self.books.running.values()):
            if self._happens(self.odds.cancel):
                self.seen["cancel"] += 1
                self.cancelled.add(life.name)
                self._leave(life)
            elif self._happens(self.odds.preempt):
                self._preempt(life)

    def _make_room(self) -> None:
        books = self.books
        while len(books.due()) > len(books.free):
            if books.ghosts:
                books.drop(books.ghosts.pop(0).table)
            else:
                self._preempt(self.random.choice(list(books.running.values())))

    def _preempt(self, life: Life) -> None:
        self.seen["preemption"] += 1
        self._leave(life)
        self.books.waiting.append(life)

    def _leave(self, life: Life) -> None:
        self.leaving.append(life.name)
        haunts = not self.backend.debug and self._happens(self.odds.haunt)
        self.books.release(life, haunts=haunts)

    # --- the plan ---------------------------------------------------------------------

    def _plan(self) -> StepPlan:
        grow = [(life, self._block()) for life in self.books.due()]
        for life, block in grow:
            life.table.append(block)
        decodes = {
            RequestId(life.name): life.slot
            for life in self.books.running.values()
            if life.decodes
        }
        enter = self._enters()
        chunks = self._chunks(self.backend.capacity.tokens_per_step - len(decodes))
        if chunks and decodes:
            self.seen["prompts and decodes together"] += 1
        return StepPlan(
            step_id=StepId(self.steps),
            leave=tuple(RequestId(name) for name in self.leaving),
            grow=tuple((RequestId(it.name), BlockId(block)) for it, block in grow),
            enter=enter,
            chunks=chunks,
            decodes=DecodeSet(decodes),
        )

    def _block(self) -> int:
        return self.books.take(self.random.choice(self.books.free))

    def _enters(self) -> tuple[Enter, ...]:
        self.random.shuffle(self.books.waiting)
        made = []
        for life in list(self.books.waiting):
            idle = self.books.running and self._happens(self.odds.idle)
            if not idle and self.books.slots and self._table(life):
                made.append(self._enter(life))
        return tuple(made)

    def _table(self, life: Life) -> bool:
        """Give it blocks, some of them found; whether there were enough."""
        books, size = self.books, self.books.block_size
        found = books.found(life.text)
        if self._happens(self.odds.idle):
            found = found[: len(found) // 2]
        for block in found:
            books.take(block)
        missing = -(-len(life.text) // size) - len(found)
        while missing > len(books.free) and books.ghosts:
            books.drop(books.ghosts.pop(0).table)
        if missing > len(books.free):
            books.drop(found)
            return False
        life.computed = len(found) * size
        life.table = [*found, *(self._block() for _ in range(missing))]
        return True

    def _enter(self, life: Life) -> Enter:
        books = self.books
        life.slot, life.entered = books.slots.pop(), len(life.text)
        books.waiting.remove(life)
        books.running[life.name] = life
        self.seen["prefix hit"] += life.computed > 0
        self.seen["shared block"] += books.shares()
        self.seen["recompute"] += bool(life.outputs)
        return Enter(
            request_id=RequestId(life.name),
            slot=life.slot,
            tokens=TokenIds(life.text),
            prompt_length=len(life.asked.prompt),
            blocks=tuple(BlockId(block) for block in life.table),
            cached=life.computed,
            sampling=life.asked.sampling,
        )

    def _chunks(self, budget: int) -> tuple[Chunk, ...]:
        lives = [life for life in self.books.running.values() if not life.decodes]
        self.random.shuffle(lives)
        chunks = []
        for life in lives:
            left = life.entered - life.computed
            most = min(left, budget)
            if most < 1 or self._happens(self.odds.idle):
                continue
            length = self.random.choice([most, most, self.random.randint(1, most)])
            self.seen["cut prompt"] += length < left
            name = RequestId(life.name)
            chunks.append(Chunk(name, life.computed, length, length == left))
            budget -= length
        return tuple(chunks)

    # --- the answer -------------------------------------------------------------------

    def _take(self, plan: StepPlan, result: StepResult) -> None:
        running = self.books.running
        for name in plan.decodes:
            running[name].computed += 1
        for chunk in plan.chunks:
            running[chunk.request_id].computed += chunk.length
            running[chunk.request_id].decodes = chunk.samples
        for name, token in result.tokens.items():
            life = running[name]
            life.outputs.append(token)
            self.outcomes[name].tokens.append(token)
            self.outcomes[name].logits.append(self.backend.logits[name])
            if name in result.stopped or len(life.outputs) == life.asked.count:
                self._leave(life)


def _claimed(plan: StepPlan, block_size: int) -> set[int]:
    """Blocks that a plan gives to somebody to write in."""
    entered = (
        block
        for enter in plan.enter
        for block in enter.blocks[enter.cached // block_size :]
    )
    return {*(block for _, block in plan.grow), *entered}


def differing(driver: Driver, requests: list[Asked], solo: Solo) -> list[int]:
    """Whose logits are not, bit for bit, those of its run alone."""
    return [
        name
        for name, asked in enumerate(requests)
        if not same_bits(driver.outcomes[name], solo.outcome(asked))
    ]


def same_bits(actual: Outcome, expected: Outcome) -> bool:
    """Whether all that came is right, to the bit; less may have come."""
    count = len(actual.tokens)
    pairs = zip(expected.logits[:count], actual.logits, strict=True)
    return expected.tokens[:count] == actual.tokens and all(
        torch.equal(mine, theirs) for mine, theirs in pairs
    )
