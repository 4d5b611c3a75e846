"""Plans written by hand, and a small driver that makes up valid ones."""

from collections.abc import Iterable
from random import Random  # noqa: TID251  # passed in, seeded by the test

import attrs

from fairq import (
    BlockId,
    Chunk,
    DecodeSet,
    Enter,
    RequestId,
    SharedPrefix,
    StepId,
    StepPlan,
    StepResult,
    TokenIds,
)
from fairq_backends.simulated import StepLoad


def enter(  # noqa: PLR0913  # as many as an Enter has
    name: int,
    prompt: Iterable[int],
    blocks: Iterable[int],
    *,
    slot: int | None = None,
    outputs: Iterable[int] = (),
    sampling: object = None,
    cached: int = 0,
) -> Enter:
    """A sequence that joins, in the slot of its own number unless told otherwise."""
    prompt = list(prompt)
    return Enter(
        request_id=RequestId(name),
        slot=name if slot is None else slot,
        tokens=TokenIds([*prompt, *outputs]),
        prompt_length=len(prompt),
        blocks=tuple(BlockId(block) for block in blocks),
        cached=cached,
        sampling=sampling,
    )


def chunk(name: int, start: int, length: int, *, samples: bool = True) -> Chunk:
    """Prompt work; it samples unless told otherwise."""
    return Chunk(RequestId(name), start, length, samples)


def plan(  # noqa: PLR0913  # as many as a plan has
    step_id: int,
    *,
    leave: Iterable[int] = (),
    grow: Iterable[tuple[int, int]] = (),
    enter: Iterable[Enter] = (),
    chunks: Iterable[Chunk] = (),
    decodes: Iterable[int] | dict[int, int] = (),
    shared: Iterable[tuple[Iterable[int], Iterable[int]]] = (),
) -> StepPlan:
    """One plan; decodes are in the slots of their own number, or as a dict says."""
    slots = decodes if isinstance(decodes, dict) else {name: name for name in decodes}
    return StepPlan(
        step_id=StepId(step_id),
        leave=tuple(RequestId(name) for name in leave),
        grow=tuple((RequestId(name), BlockId(block)) for name, block in grow),
        enter=tuple(enter),
        chunks=tuple(chunks),
        decodes=DecodeSet({RequestId(name): slot for name, slot in slots.items()}),
        shared=tuple(
            SharedPrefix(tuple(map(BlockId, blocks)), tuple(map(RequestId, members)))
            for blocks, members in shared
        ),
    )


@attrs.define
class Life:
    """One sequence as the driver sees it: all its tokens, nothing incremental."""

    name: int
    prompt: list[int]
    slot: int
    blocks: list[int]
    outputs: list[int] = attrs.field(factory=list)
    entered: int = 0
    """Tokens known when it entered last."""
    computed: int = 0
    decodes: bool = False

    @property
    def known(self) -> int:
        return len(self.prompt) + len(self.outputs)


@attrs.define
class Driver:
    """Makes up random, valid plans, and counts their work the slow way."""

    random: Random
    block_size: int
    free: list[int]
    slots: list[int]
    lives: dict[int, Life] = attrs.field(factory=dict)
    waiting: list[Life] = attrs.field(factory=list)
    leaving: list[int] = attrs.field(factory=list)
    steps: int = 0
    born: int = 0

    def plan(self) -> tuple[StepPlan, StepLoad]:
        """The next plan, and the work in it."""
        leave, self.leaving = self.leaving, []
        for name in [name for name in self.lives if self.random.random() < 0.05]:
            leave.append(name)
            self._evict(name)
        decodes = {n: life.slot for n, life in self.lives.items() if life.decodes}
        grow = [self._grow(self.lives[name]) for name in decodes]
        joins = [self._enter() for _ in range(self.random.randrange(3)) if self.slots]
        chunks = [self._chunk(x) for x in self.lives.values() if not x.decodes]
        made = plan(
            self.steps,
            leave=leave,
            grow=[each for each in grow if each],
            enter=joins,
            chunks=chunks,
            decodes=decodes,
        )
        self.steps += 1
        return made, self._load(made)

    def answer(self, plan: StepPlan, result: StepResult) -> None:
        """Take the tokens in; whoever stopped leaves with the next plan."""
        for work in plan.chunks:
            life = self.lives[work.request_id]
            life.computed = work.start + work.length
            life.decodes = work.samples
        for name in plan.decodes:
            self.lives[name].computed += 1
        for name, token in result.tokens.items():
            self.lives[name].outputs.append(token)
        for name in result.stopped:
            self.leaving.append(name)
            self._release(self.lives.pop(name))

    def _evict(self, name: int) -> None:
        life = self.lives.pop(name)
        self._release(life)
        life.computed, life.decodes = 0, False
        self.waiting.append(life)

    def _release(self, life: Life) -> None:
        self.free += life.blocks
        self.slots.append(life.slot)

    def _grow(self, life: Life) -> tuple[int, int] | None:
        if life.computed < len(life.blocks) * self.block_size:
            return None
        life.blocks.append(self.free.pop())
        return life.name, life.blocks[-1]

    def _enter(self) -> Enter:
        life = self.waiting.pop(0) if self.waiting else self._born()
        life.slot = self.slots.pop()
        life.entered = life.known
        needed = -(-life.known // self.block_size)
        life.blocks = [self.free.pop() for _ in range(needed)]
        self.lives[life.name] = life
        return enter(
            life.name,
            life.prompt,
            life.blocks,
            slot=life.slot,
            outputs=life.outputs,
            sampling={"output_tokens": 1 + 7 * life.name % 40},
        )

    def _born(self) -> Life:
        length = self.random.randrange(1, 40)
        prompt = [self.random.randrange(1000) for _ in range(length)]
        self.born += 1
        return Life(self.born, prompt, slot=-1, blocks=[])

    def _chunk(self, life: Life) -> Chunk:
        length = self.random.randint(1, life.entered - life.computed)
        end = life.computed + length
        return chunk(life.name, life.computed, length, samples=end == life.entered)

    def _load(self, plan: StepPlan) -> StepLoad:
        context = sum(self.lives[name].known - 1 for name in plan.decodes)
        return StepLoad(
            tokens=plan.tokens,
            sampled=len(plan.decodes) + sum(c.samples for c in plan.chunks),
            decode_context=context,
            prefill_pairs=sum(c.length * (c.start + c.length / 2) for c in plan.chunks),
            prefills=bool(plan.chunks),
        )
