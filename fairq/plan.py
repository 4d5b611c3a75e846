"""The step protocol: what one step computes, and what came of it.

A plan is a *delta*. The backend keeps the standing batch; the plan says what changed
since the last one: who entered, who left, which tables grew, which prompt chunks are
due. A step in which everybody decodes is an almost empty plan, which is what makes a
step cost O(changes) on both sides.

Obligations of whoever answers a plan:

1. Apply ``leave`` first, then ``grow`` and ``enter``: blocks of a sequence that leaves
   may be named again in the same plan. With ``Capacity.prefix_cache``, what a full
   block holds stays valid until the block is named again: by ``grow``, or by an
   ``enter`` whose ``cached`` does not cover it.
2. Compute every chunk, and one token for every member of ``decodes``.
3. Answer once, with the plan's ``step_id``: a token for every member of ``decodes`` and
   for every chunk that samples, and for nobody else.
4. If the step fails, be as before the plan. The kernel repeats the whole delta in its
   next plan, under a new ``step_id``.
"""

from collections.abc import Iterator, KeysView, Mapping
from collections.abc import Set as AbstractSet
from typing import NewType

import attrs

from fairq.request import RequestId
from fairq.tokens import TokenIds

__all__ = [
    "BlockId",
    "Chunk",
    "DecodeSet",
    "Enter",
    "SharedPrefix",
    "StepId",
    "StepPlan",
    "StepResult",
]

StepId = NewType("StepId", int)
"""Name of a plan within one kernel: 0, 1, 2, ...; a failed step's id is not reused."""

BlockId = NewType("BlockId", int)
"""Name of one KV block, 0 <= id < ``Capacity.blocks``."""


@attrs.frozen(kw_only=True)
class Enter:
    """A sequence that joins the standing batch, for the first time or again."""

    request_id: RequestId
    """The sequence's name until it leaves."""

    slot: int
    """Its place in the batch, 0 <= slot < ``Capacity.max_sequences``; nobody else has
    it and it does not change while the sequence stays."""

    tokens: TokenIds
    """All token ids known so far: the prompt and, when the sequence was preempted,
    the output tokens it had produced."""

    prompt_length: int
    """How many of ``tokens`` are the prompt; the rest was produced earlier."""

    blocks: tuple[BlockId, ...]
    """Its block table: position p lives in ``blocks[p // block_size]``. Long enough
    for ``tokens``; ``grow`` adds to it before it is exceeded."""

    cached: int
    """Leading tokens whose KV is already in those blocks: whole blocks, never all the
    tokens, and 0 unless ``Capacity.prefix_cache``. Other tables may name these blocks
    too; nobody writes to them again."""

    sampling: object
    """``Request.sampling``, as the caller gave it."""


@attrs.frozen
class Chunk:
    """Prompt work: compute the KV of positions ``start .. start + length - 1``."""

    request_id: RequestId
    """Whose."""

    start: int
    """First position, 0-based; chunks of a sequence follow one another without gap."""

    length: int
    """Positions, at least 1."""

    samples: bool
    """True when the chunk reaches the last known token, and so yields a token."""


class DecodeSet(AbstractSet[RequestId]):
    """The standing batch: every member computes exactly one token in this step.

    A read-only view of the kernel's own table, valid until the plan is answered; it
    does not change before. It iterates in the order in which members joined.
    """

    __slots__ = ("_slots",)

    def __init__(self, slots: Mapping[RequestId, int]) -> None:
        self._slots = slots

    def slot(self, request_id: RequestId) -> int:
        """The member's place in the batch; KeyError when it is not a member."""
        return self._slots[request_id]

    def ids(self) -> KeysView[RequestId]:
        """The members as a set-like view that compares and tests at C speed."""
        return self._slots.keys()

    def __contains__(self, request_id: object) -> bool:
        return request_id in self._slots

    def __iter__(self) -> Iterator[RequestId]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    @classmethod
    def _from_iterable(cls, it: "Iterator[RequestId]") -> "set[RequestId]":  # type: ignore[override]  # &, | and - of a view give a plain set, as with dict.keys()
        return set(it)

    def __repr__(self) -> str:
        return f"DecodeSet({list(self._slots)})"


@attrs.frozen
class SharedPrefix:
    """Sequences of the batch whose tables begin with the same blocks.

    A hint: attention over the run can be computed once for all members. It holds for a
    member until that leaves; others may begin with these blocks too.
    """

    blocks: tuple[BlockId, ...]
    """The run: full blocks, not written any more. At least one."""

    members: tuple[RequestId, ...]
    """Who begins with it, at least two; in the batch, or entering with this plan."""


@attrs.frozen(kw_only=True)
class StepPlan:
    """One step, as a change to the standing batch. Answer it exactly once."""

    step_id: StepId
    """Put it into the ``StepResult``."""

    leave: tuple[RequestId, ...]
    """Sequences gone since the last plan (finished, cancelled, preempted). Their blocks
    may be reused in this very plan, so apply this first."""

    grow: tuple[tuple[RequestId, BlockId], ...]
    """Blocks appended to tables, in order: one per sequence at most."""

    enter: tuple[Enter, ...]
    """Sequences that join. None of them is in ``decodes`` yet."""

    chunks: tuple[Chunk, ...]
    """Prompt work of this step. A sequence whose chunk samples is in ``decodes`` from
    the next plan on, unless it finished."""

    decodes: DecodeSet
    """Everybody who computes one token; disjoint from ``chunks``."""

    shared: tuple[SharedPrefix, ...] = ()
    """Prefixes that sequences of ``enter`` share with one another or with members of
    the batch, each run with everybody known to begin with it."""

    @property
    def tokens(self) -> int:
        """Positions computed in this step; at most the token budget."""
        return len(self.decodes) + sum(chunk.length for chunk in self.chunks)


@attrs.frozen
class StepResult:
    """The answer to one plan."""

    step_id: StepId
    """The plan that is answered."""

    tokens: Mapping[RequestId, int]
    """One token for every member of ``decodes`` and every sampling chunk. The kernel
    hands this very mapping on, so it must not be changed afterwards."""

    stopped: tuple[RequestId, ...] = ()
    """Sequences whose token in ``tokens`` ended them (a stop token, say)."""

    elapsed_ns: int = 0
    """How long the step took as the backend measured it, in ns. The kernel ignores it;
    the simulator advances its clock by it."""
