"""The standing batch: who is in it, and a calendar of who needs something when.

A sequence that only decodes is visited once per block, not once per step:

* it fills a block every ``block_size`` steps, so the step in which its next block is
  due is known when it begins to decode: it stays in one of ``block_size`` buckets and
  the buckets come round like the hours of a clock;
* it reaches ``max_tokens`` at a step that is known as well;
* its output tokens are kept as the backend's own mappings for ``block_size`` steps and
  are picked out of them when its bucket comes round.
"""

from collections import deque
from collections.abc import Mapping
from heapq import heappop, heappush

from fairq.kernel._clock import StepClock
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Phase
from fairq.plan import DecodeSet
from fairq.request import RequestId


class Batch:
    """Everybody who holds a slot.

    Args:
        slots: Most members.
        block_size: Tokens per KV block.
        clock: Advanced by ``advance`` and by nobody else.
    """

    __slots__ = (
        "_buckets",
        "_clock",
        "_ends",
        "_free_slots",
        "_log",
        "_produced_offset",
        "_slots",
        "block_size",
        "decodes",
        "prefilling",
        "total_slots",
    )

    def __init__(self, slots: int, block_size: int, clock: StepClock) -> None:
        self.block_size = block_size
        self.total_slots = slots
        self.prefilling: dict[RequestId, Sequence] = {}
        self._clock = clock
        self._slots: dict[RequestId, int] = {}
        self.decodes = DecodeSet(self._slots)
        self._free_slots = list(range(slots))
        self._buckets: list[dict[RequestId, Sequence]] = [{} for _ in range(block_size)]
        self._ends: dict[int, dict[RequestId, Sequence]] = {}
        self._produced_offset = 0
        self._log: deque[Mapping[RequestId, int]] = deque(maxlen=block_size)

    def __len__(self) -> int:
        return len(self.prefilling) + len(self._slots)

    @property
    def free_slots(self) -> int:
        """Members that may still enter."""
        return len(self._free_slots)

    @property
    def produced(self) -> int:
        """Output tokens of all members together."""
        return self._produced_offset + len(self._slots) * self._clock.tick

    def take_slot(self) -> int:
        """The lowest free slot: low ones stay dense, which captured graphs like."""
        return heappop(self._free_slots)

    def give_back_slot(self, slot: int) -> None:
        """Free a slot."""
        heappush(self._free_slots, slot)

    def decode_ids(self) -> Mapping[RequestId, int]:
        """The decoding members and their slots: the table itself, for reading."""
        return self._slots

    # --- the calendar ---------------------------------------------------------------

    def due(self) -> list[Sequence]:
        """Decoding members whose next token begins a block they do not have.

        Their outputs are brought up to date on the way. This is the loop that visits
        everybody once per block: what it does not call is what makes a step cheap.
        """
        tick = self._clock.tick
        log = self._log
        full = len(log)
        due = []
        for sequence in self._buckets[tick % self.block_size].values():
            if tick - sequence.collected == full and sequence.pick is not None:
                sequence.outputs.extend(map(sequence.pick, log))
                sequence.collected = tick
            else:
                self.collect(sequence)
            # Who begins to decode only now was admitted with this block.
            if sequence.joined != tick:
                due.append(sequence)
        return due

    def ending(self) -> Mapping[RequestId, Sequence]:
        """Take out the members that have just produced their last token."""
        return self._ends.pop(self._clock.tick, {})

    def _bucket(self, sequence: Sequence) -> dict[RequestId, Sequence]:
        # At tick t it has computed + t - joined positions; the next one begins a
        # block when that is a multiple of the block size.
        phase = (sequence.joined - sequence.computed) % self.block_size
        return self._buckets[phase]

    def _last_tick(self, sequence: Sequence) -> int:
        left = sequence.request.max_tokens - len(sequence.outputs)
        return sequence.collected + left

    # --- members --------------------------------------------------------------------

    def enter(self, sequence: Sequence, slot: int) -> None:
        """Let a sequence in; it has prompt work to do."""
        sequence.move(Phase.PREFILLING)
        sequence.slot = slot
        sequence.prepare_pick()
        self.prefilling[sequence.id] = sequence
        self._produced_offset += len(sequence.outputs)

    def begin_decoding(self, sequence: Sequence, token: int) -> None:
        """All known tokens are computed, and ``token`` came out."""
        del self.prefilling[sequence.id]
        sequence.outputs.append(token)
        self._produced_offset += 1 - self._clock.tick
        sequence.move(Phase.DECODING)
        sequence.joined = sequence.collected = self._clock.tick
        self._slots[sequence.id] = sequence.slot
        self._bucket(sequence)[sequence.id] = sequence
        end = self._last_tick(sequence)
        self._ends.setdefault(end, {})[sequence.id] = sequence

    def leave(self, sequence: Sequence, phase: Phase) -> None:
        """Let a sequence go: to WAITING or to OVER. Its blocks are not touched."""
        if sequence.phase is Phase.DECODING:
            self._stop_decoding(sequence)
        else:
            del self.prefilling[sequence.id]
        self._produced_offset -= len(sequence.outputs)
        sequence.move(phase)
        self.give_back_slot(sequence.slot)
        sequence.slot = -1

    def _stop_decoding(self, sequence: Sequence) -> None:
        end = self._last_tick(sequence)
        if sequence.id in self._ends.get(end, ()):
            del self._ends[end][sequence.id]
            if not self._ends[end]:
                del self._ends[end]
        del self._bucket(sequence)[sequence.id]
        del self._slots[sequence.id]
        self.collect(sequence)
        self._produced_offset += self._clock.tick
        sequence.computed += self._clock.tick - sequence.joined

    # --- tokens ---------------------------------------------------------------------

    def advance(self, tokens: Mapping[RequestId, int]) -> None:
        """One step is committed: every decoding member has one token more."""
        self._log.append(tokens)
        self._clock.tick += 1

    def collect(self, sequence: Sequence) -> None:
        """Bring ``outputs`` of a decoding member up to date; invisible from outside.

        Called at least once in ``block_size`` steps, by its bucket.
        """
        missing = self._clock.tick - sequence.collected
        pick = sequence.pick
        if not missing or pick is None:
            return
        log = self._log
        if missing == len(log):
            sequence.outputs.extend(map(pick, log))
        else:
            recent = range(len(log) - missing, len(log))
            sequence.outputs.extend([pick(log[index]) for index in recent])
        sequence.collected = self._clock.tick

    # --- for checks -----------------------------------------------------------------

    def knows(self, sequence: Sequence) -> bool:
        """Whether a member is where its phase says, and its calendar entries too."""
        if sequence.phase is Phase.PREFILLING:
            return self.prefilling.get(sequence.id) is sequence
        return (
            self._slots.get(sequence.id) == sequence.slot
            and sequence.id in self._bucket(sequence)
            and sequence.id in self._ends.get(self._last_tick(sequence), ())
        )

    @property
    def calendar_entries(self) -> int:
        """Entries for blocks due and for ends; two for each decoding member."""
        due = sum(len(bucket) for bucket in self._buckets)
        return due + sum(len(ends) for ends in self._ends.values())
