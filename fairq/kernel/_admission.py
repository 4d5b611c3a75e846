"""When a request may join the batch: whether there will be KV blocks for it.

Both rules are asked the same and see only sequences and block counts.

*Reserve* promises every member all the blocks it can ever need. *Optimistic* gives
blocks for what is known now and keeps a margin for growth, because outputs are mostly
shorter than ``max_tokens`` and do not all peak at once. The margin comes from a
forecast: members are expected to produce as many tokens as finished ones did lately
(exponential average over about 16). A preemption shows that the forecast was too low,
and raises it; so a batch that thrashes gets smaller until it does not.
"""

from typing import Final, Protocol

import attrs

from fairq.kernel._batch import Batch
from fairq.kernel._blocks import BlockLedger
from fairq.kernel._sequence import Sequence
from fairq.policy import Admission

FIXED: Final = 2**16
"""The forecast is an integer in 1/FIXED tokens."""
MEMORY: Final = 16
"""The forecast remembers about this many finished requests."""
FORGET: Final = 64
"""The margin loses this part of itself with each request that ends."""


class Rule(Protocol):
    """Decides, and is told what became of it."""

    def begin(self, free: int) -> None:
        """A plan begins; ``free`` blocks are left after everybody has grown."""
        ...

    def fits(self, sequence: Sequence, blocks: int, shared: int) -> bool:
        """Whether a sequence may join after those drawn.

        Args:
            sequence: Who asks.
            blocks: What its table takes from the blocks that are available.
            shared: Blocks of its table that others have computed.
        """
        ...

    def draw(self, sequence: Sequence, blocks: int, own: int) -> None:
        """The draft takes it; ``own`` blocks it may ever use are not in the tree."""
        ...

    def enter(self, sequence: Sequence) -> None:
        """It has joined the batch."""
        ...

    def leave(self, sequence: Sequence, *, ended: bool) -> None:
        """It has left: ended by itself, or was removed."""
        ...

    def preempted(self) -> None:
        """Blocks ran out."""
        ...


def blocks_now(sequence: Sequence, ledger: BlockLedger) -> int:
    """Blocks to admit it with: its known tokens, and the first it will produce.

    With the one block more than strictly needed it can produce a token as soon as its
    prompt is computed, without asking for a block and so without evicting anybody. Who
    is to produce just one token more never computes beyond what is known.
    """
    return ledger.blocks_for(min(sequence.known + 1, sequence.worst))


@attrs.define
class Drawn:
    """What the draft has taken so far."""

    members: int = 0
    produced: int = 0
    granted: int = 0


class Reserve:
    """Everybody in the batch may use ``max_tokens``, and it will fit.

    Blocks in the prefix tree count once, while somebody holds them; beyond those each
    member is promised what it may still need for itself.
    """

    __slots__ = ("_drawn", "_ledger", "_promised")

    def __init__(self, ledger: BlockLedger) -> None:
        self._ledger = ledger
        self._promised = 0
        self._drawn = 0

    def begin(self, free: int) -> None:
        """A plan begins."""
        del free  # what is free now is promised already, or is not
        self._drawn = 0

    def fits(self, sequence: Sequence, blocks: int, shared: int) -> bool:
        """Whether all promises can be kept with one more."""
        now = blocks_now(sequence, self._ledger)
        # What it takes from the cache is not held by anybody yet.
        unheld = blocks - (now - shared)
        needed = self._ledger.blocks_for(sequence.worst) - shared + unheld
        promised = self._promised + self._drawn + self._ledger.tree.held
        return promised + needed <= self._ledger.total - self._ledger.kept

    def draw(self, sequence: Sequence, blocks: int, own: int) -> None:
        """The draft takes it."""
        del sequence, blocks  # part of what it may need
        self._drawn += own

    def enter(self, sequence: Sequence) -> None:
        """Promise it all it may need for itself."""
        self._promised += sequence.promised

    def leave(self, sequence: Sequence, *, ended: bool) -> None:
        """Its promise is void."""
        del ended
        self._promised -= sequence.promised

    def preempted(self) -> None:
        """Cannot happen under this rule, except to a batch it did not admit."""


class Optimistic:
    """Blocks for what is known, and a margin for the growth that is forecast.

    The margin is a part of the forecast growth: all of it at first, less with every
    request that ends (members do not peak together), more with every preemption. The
    idea of a ratio that decays and is reset by preemptions is SGLang's.
    """

    __slots__ = ("_batch", "_drawn", "_free", "_granted", "_ledger", "_margin", "_mean")

    def __init__(self, ledger: BlockLedger, batch: Batch) -> None:
        self._ledger = ledger
        self._batch = batch
        self._margin = FIXED
        self._mean: int | None = None
        self._granted = 0
        self._free = 0
        self._drawn = Drawn()

    def begin(self, free: int) -> None:
        """A plan begins."""
        self._free = free
        self._drawn = Drawn()

    def fits(self, sequence: Sequence, blocks: int, shared: int) -> bool:
        """Whether it fits now, and the batch can be expected to fit later."""
        del shared  # takes nothing
        free = self._free - blocks
        if free < 0:
            return False
        members = len(self._batch) + self._drawn.members + 1
        produced = self._batch.produced + self._drawn.produced + sequence.produced
        granted = self._granted + self._drawn.granted + sequence.request.max_tokens
        growth = self._margin * self._growth(members, produced, granted) // FIXED
        # Alone it fits whatever the forecast says: submit has seen to that.
        return members == 1 or self._ledger.blocks_for(growth) <= free

    def _growth(self, members: int, produced: int, granted: int) -> int:
        """Tokens the members are expected to produce from now on."""
        expected = granted
        if self._mean is not None:
            expected = min(granted, members * self._mean // FIXED)
        return max(0, expected - produced)

    def draw(self, sequence: Sequence, blocks: int, own: int) -> None:
        """The draft takes it."""
        del own  # nothing is promised
        self._free -= blocks
        self._drawn.members += 1
        self._drawn.produced += sequence.produced
        self._drawn.granted += sequence.request.max_tokens

    def enter(self, sequence: Sequence) -> None:
        """It counts from now on."""
        self._granted += sequence.request.max_tokens

    def leave(self, sequence: Sequence, *, ended: bool) -> None:
        """Learn from how long it got."""
        self._granted -= sequence.request.max_tokens
        if not ended:
            return
        produced = len(sequence.outputs)
        if self._mean is None:
            self._mean = FIXED * produced
        self._mean += (FIXED * produced - self._mean) // MEMORY
        self._margin -= self._margin // FORGET

    def preempted(self) -> None:
        """The forecast was too low."""
        self._margin += (FIXED - self._margin) // 4
        if self._mean is not None:
            self._mean += self._mean // MEMORY


def make_rule(admission: Admission, ledger: BlockLedger, batch: Batch) -> Rule:
    """The rule that a policy names."""
    match admission:
        case Admission.RESERVE:
            return Reserve(ledger)
        case Admission.OPTIMISTIC:
            return Optimistic(ledger, batch)
