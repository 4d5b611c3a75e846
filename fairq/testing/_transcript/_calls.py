"""The calls of a kernel, and what came of them, as values that can be written down."""

from collections.abc import Mapping
from operator import index
from typing import TypeVar

import attrs

from fairq._validators import is_integer, is_text
from fairq.errors import RequestRejected, UsageError
from fairq.events import Events
from fairq.kernel import Idle, Kernel
from fairq.plan import DecodeSet, StepId, StepPlan, StepResult
from fairq.request import Request, RequestId
from fairq.testing._transcript._words import described, happened, idle, ids, spelled
from fairq.testing._witness import frozen
from fairq.tokens import TokenIds

# --- what was asked -------------------------------------------------------------------


@attrs.frozen
class Submit:
    """A call of ``submit``. ``Request.sampling`` is left out: no kernel looks at it."""

    tenant: str
    prompt: TokenIds
    max_tokens: int
    now_ns: int = 0
    adapter: str | None = None

    def perform(self, kernel: Kernel) -> RequestId:
        """Make the call."""
        request = Request(
            tenant=self.tenant,
            prompt=self.prompt,
            max_tokens=self.max_tokens,
            adapter=self.adapter,
        )
        return kernel.submit(request, self.now_ns)

    def __str__(self) -> str:
        return (
            f"submit tenant={spelled(self.tenant)} {_text(self.prompt)} "
            f"max_tokens={self.max_tokens}{_with(self.adapter)}{_at(self.now_ns)}"
        )


@attrs.frozen
class Cancel:
    """A call of ``cancel``."""

    request_id: RequestId

    def perform(self, kernel: Kernel) -> Events:
        """Make the call."""
        return kernel.cancel(self.request_id)

    def __str__(self) -> str:
        return f"cancel id={self.request_id}"


@attrs.frozen
class Plan:
    """A call of ``plan``."""

    now_ns: int = 0

    def perform(self, kernel: Kernel) -> StepPlan | Idle:
        """Make the call."""
        return kernel.plan(self.now_ns)

    def __str__(self) -> str:
        return f"plan{_at(self.now_ns)}"


@attrs.frozen
class Commit:
    """A call of ``commit``. ``elapsed_ns`` is left out: no kernel looks at it."""

    step_id: StepId
    tokens: tuple[tuple[RequestId, int], ...]
    """In the order of the mapping that was given."""
    stopped: tuple[RequestId, ...] = ()

    def perform(self, kernel: Kernel) -> Events:
        """Make the call."""
        return kernel.commit(StepResult(self.step_id, dict(self.tokens), self.stopped))

    def __str__(self) -> str:
        tokens = ",".join(f"{id_}:{token}" for id_, token in self.tokens)
        return f"commit step={self.step_id} tokens={tokens}{self.stops()}"

    def stops(self) -> str:
        """Who ends with it, as an argument; empty for nobody."""
        return f" stop={ids(self.stopped)}" if self.stopped else ""


@attrs.frozen
class Fail:
    """A call of ``fail``."""

    step_id: StepId

    def perform(self, kernel: Kernel) -> Events:
        """Make the call."""
        return kernel.fail(self.step_id)

    def __str__(self) -> str:
        return f"fail step={self.step_id}"


@attrs.frozen
class Pin:
    """A call of ``pin``."""

    tenant: str
    tokens: TokenIds
    adapter: str | None = None

    def perform(self, kernel: Kernel) -> "Pinned":
        """Make the call."""
        return Pinned(kernel.pin(self.tenant, self.tokens, adapter=self.adapter))

    def __str__(self) -> str:
        return f"pin {_prefix(self)}"


@attrs.frozen
class Unpin:
    """A call of ``unpin``."""

    tenant: str
    tokens: TokenIds
    adapter: str | None = None

    def perform(self, kernel: Kernel) -> "Pinned":
        """Make the call."""
        kernel.unpin(self.tenant, self.tokens, adapter=self.adapter)
        return Pinned(None)

    def __str__(self) -> str:
        return f"unpin {_prefix(self)}"


Call = Submit | Cancel | Plan | Commit | Fail | Pin | Unpin
"""One call; its text is the command that makes it in a scenario."""


def _at(now_ns: int) -> str:
    return f" now={now_ns}" if now_ns else ""


def _text(prompt: TokenIds) -> str:
    """A prompt as an argument: its length, when it is 1, 2, 3, ..."""
    length = len(prompt)
    plain = prompt == TokenIds(range(1, length + 1))
    return f"prompt={length}" if plain else f"ids={ids(prompt)}"


def _with(adapter: str | None) -> str:
    return "" if adapter is None else f" adapter={spelled(adapter)}"


def _prefix(pin: Pin | Unpin) -> str:
    return f"tenant={spelled(pin.tenant)} {_text(pin.tokens)}{_with(pin.adapter)}"


def submission(request: object, now_ns: object) -> Submit | None:
    """The call with these arguments; None when they have types no kernel takes."""
    if not isinstance(request, Request) or not is_integer(now_ns):
        return None
    return Submit(
        request.tenant,
        request.prompt,
        request.max_tokens,
        index(now_ns),  # type: ignore[arg-type]  # is_integer proves it, but cannot tell mypy for object
        request.adapter,
    )


T = TypeVar("T", Pin, Unpin)


def pinning(kind: type[T], tenant: object, tokens: object, adapter: object) -> T | None:
    """The call with these arguments; None when they have types no kernel takes."""
    if not is_text(tenant) or not (adapter is None or is_text(adapter)):
        return None
    try:
        return kind(tenant, TokenIds(tokens), adapter)  # type: ignore[arg-type]  # is_text proves it; TokenIds refuses what is none
    except UsageError:
        return None


def answer(result: object) -> Commit | None:
    """The call with this argument; None when it has types no kernel takes."""
    if not isinstance(result, StepResult):
        return None
    try:
        tokens, stopped = _tokens(result.tokens), _stopped(result.stopped)
        return Commit(StepId(index(result.step_id)), tokens, stopped)
    except (TypeError, ValueError):
        return None


def _tokens(given: object) -> tuple[tuple[RequestId, int], ...]:
    if not isinstance(given, Mapping):
        raise TypeError
    return tuple((_key(id_), index(new)) for id_, new in given.items())


def _stopped(given: object) -> tuple[RequestId, ...]:
    if not isinstance(given, tuple) or not all(map(is_integer, given)):
        raise TypeError
    return given


def _key(request_id: object) -> RequestId:
    """A key as the kernel finds it: 1.0 is found where 1 is asked for."""
    whole = int(request_id)  # type: ignore[call-overload]  # the error is caught
    if whole != request_id:
        raise TypeError
    return RequestId(whole)


# --- what came back -------------------------------------------------------------------


@attrs.frozen
class Raised:
    """The call raised an error."""

    error: str
    """Name of its class."""
    message: str
    """Its text, on one line."""
    retryable: bool | None = None
    """Of a ``RequestRejected``; None for other errors."""

    @classmethod
    def of(cls, error: Exception) -> "Raised":
        """What is kept of an error."""
        retryable = error.retryable if isinstance(error, RequestRejected) else None
        return cls(type(error).__name__, " ".join(str(error).split()), retryable)

    def __str__(self) -> str:
        if self.retryable is not None:
            again = "later" if self.retryable else "never"
            return f"rejected ({again}): {self.message}"
        if self.error == UsageError.__name__:
            return f"error: {self.message}"
        return f"raised {self.error}: {self.message}"


@attrs.frozen
class Pinned:
    """A prefix was pinned, or is not any more."""

    tokens: int | None
    """How much of it; None when it was unpinned."""

    def __str__(self) -> str:
        return "unpinned" if self.tokens is None else f"pinned {self.tokens} tokens"


Answer = RequestId | Events | StepPlan | Idle | Pinned
"""What a call returns, or stands for it."""
Outcome = RequestId | Events | StepPlan | Idle | Pinned | Raised
"""What came of a call."""


@attrs.frozen
class Noted:
    """One call and what came of it."""

    call: Call
    outcome: Outcome


def kept(answer: Answer) -> Answer:
    """An answer that no later call can change."""
    if isinstance(answer, StepPlan):
        plan = frozen(answer)
        # As in Submit: opaque to the kernel, and perhaps nothing that can be kept.
        enter = tuple(attrs.evolve(entry, sampling=None) for entry in plan.enter)
        return attrs.evolve(plan, enter=enter)
    if isinstance(answer, Events):
        tokens = {RequestId(int(i)): int(t) for i, t in answer.tokens.items()}
        return attrs.evolve(answer, tokens=tokens)
    return answer


def told(outcome: Outcome) -> list[str]:
    """An outcome as a transcript has it."""
    if isinstance(outcome, StepPlan):
        return list(described(outcome))
    if isinstance(outcome, Events):
        return list(happened(outcome))
    if isinstance(outcome, Idle):
        return [idle(outcome)]
    said = isinstance(outcome, Raised | Pinned)
    return [str(outcome) if said else f"request {outcome}"]


def exact(outcome: Outcome) -> object:
    """An outcome to compare: with the order of mappings, and everybody's slot."""
    if isinstance(outcome, StepPlan):
        slots = [(id_, outcome.decodes.slot(id_)) for id_ in outcome.decodes]
        return attrs.evolve(outcome, decodes=DecodeSet({})), slots
    if isinstance(outcome, Events):
        return list(outcome.tokens.items()), attrs.evolve(outcome, tokens={})
    return type(outcome), outcome


def performed(call: Call, kernel: Kernel) -> Outcome:
    """Make a call; what came of it."""
    try:
        return kept(call.perform(kernel))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what came of it
        return Raised.of(error)
