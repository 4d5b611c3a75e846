"""What the trials of one backend share: how it is made, what is asked of it."""

from collections.abc import Callable, Iterable

import attrs

from fairq.backend import Backend, Capacity
from fairq.events import FinishReason
from fairq.request import Request
from fairq.testing._backend._deal import Names
from fairq.testing._backend._examiner import Examiner
from fairq.testing._backend._host import Host

Factory = Callable[[], Backend]
Provoke = Callable[[Backend], object]
Key = tuple[bytes, int, str]


@attrs.frozen
class Alone:
    """What a request gets when it is the only one."""

    tokens: tuple[int, ...]
    reason: FinishReason


@attrs.define
class Tally:
    """What was done so far."""

    steps: int = 0
    preemptions: int = 0
    cached_tokens: int = 0
    notes: dict[str, None] = attrs.field(factory=dict)
    """What could not be checked, each once."""


@attrs.frozen(eq=False)
class Bench:
    """One backend under examination."""

    factory: Factory
    who: str
    """Its name, for messages."""
    capacity: Capacity
    host: Host
    """Where all its steps run."""
    requests: tuple[Request, ...]
    """What it understands; each fits into the pool alone. At least one."""
    deterministic: bool
    provoke: Provoke | None
    limit_s: float
    """How long a step may take."""
    tally: Tally = attrs.field(factory=Tally)
    alone: dict[Key, Alone] = attrs.field(factory=dict)
    """By what was asked, what it gave."""
    again: str = ""
    """The call that plays a scenario of this backend."""

    def examiner(self, *, mirrored: bool = False) -> Examiner:
        """A fresh backend, with each of its answers looked at."""
        names = Names.mirrored(self.capacity) if mirrored else Names()
        return Examiner(self.factory(), self.host, self.who, names, self.limit_s)

    def limited(self, blocks: int) -> Capacity:
        """The capacity as a kernel is told: a small pool makes for more to do."""
        return attrs.evolve(self.capacity, blocks=min(blocks, self.capacity.blocks))

    def note(self, text: str) -> None:
        """Say that something could not be checked."""
        self.tally.notes[text] = None

    # --- requests -------------------------------------------------------------------

    def worst(self, request: Request) -> int:
        """Blocks that it can come to need."""
        return self._blocks(len(request.prompt) + request.max_tokens - 1)

    def first(self, request: Request) -> int:
        """Blocks that it is admitted with."""
        length = len(request.prompt)
        return self._blocks(min(length + 1, length + request.max_tokens - 1))

    def growth(self, request: Request) -> int:
        """Blocks that it comes to need while it decodes."""
        return self.worst(request) - self.first(request)

    def room(self, requests: Iterable[Request]) -> int:
        """Blocks for the largest of them."""
        return max(map(self.worst, requests))

    def short(self) -> list[Request]:
        """The requests, those that take the fewest steps first."""
        return sorted(self.requests, key=length_of)

    def long(self) -> list[Request]:
        """The requests, those that take the most steps first."""
        return sorted(self.requests, key=length_of, reverse=True)

    @property
    def longest(self) -> int:
        """Prompt and output tokens of the longest."""
        return max(map(length_of, self.requests))

    @property
    def longest_prompt(self) -> int:
        """Tokens of the longest prompt."""
        return max(len(request.prompt) for request in self.requests)

    def _blocks(self, positions: int) -> int:
        return -(-positions // self.capacity.block_size)


def length_of(request: Request) -> int:
    """About how many positions it takes."""
    return len(request.prompt) + request.max_tokens


def key_of(request: Request) -> Key:
    """What decides its tokens."""
    return request.prompt.raw, request.max_tokens, repr(request.sampling)
