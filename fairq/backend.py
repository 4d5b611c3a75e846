"""What executes steps: three members, no base class.

``step`` may be a plain function (the engine runs it in a worker thread) or a coroutine
function (the engine awaits it); nothing else differs. The obligations of a step are
those of ``fairq.plan``.

A backend may have a fourth member, ``check(request: Request) -> None``, a plain
function. The engine calls it with each request before the kernel knows of it, on the
event loop's thread and so possibly while a step runs: it looks at nothing that a step
changes, and is quick. It raises ``UsageError`` for what the backend can never
understand, or ``RequestRejected`` (``retryable=False``) for what can never fit; then
nothing was queued. Without it such a request is found by the step that it enters with,
and that step fails for everybody in it. The step has to refuse it all the same: other
drivers need not ask.
"""

from collections.abc import Awaitable
from typing import Protocol, runtime_checkable

import attrs

from fairq._validators import fail, integer
from fairq.plan import StepPlan, StepResult

__all__ = ["AsyncBackend", "Backend", "Capacity", "SyncBackend"]


@attrs.frozen(kw_only=True)
class Capacity:
    """How much a backend can hold and do. Constant for the life of a backend.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    blocks: int = attrs.field(validator=integer(1, "KV blocks"))
    """KV blocks in the pool, >= 1; their ids are 0 .. blocks - 1."""

    block_size: int = attrs.field(default=16, validator=integer(1, "tokens"))
    """Tokens per block, >= 1. 16 is what paged-attention kernels like."""

    max_sequences: int = attrs.field(default=256, validator=integer(1, "sequences"))
    """Sequences in the batch at once, >= 1; slots are 0 .. max_sequences - 1."""

    tokens_per_step: int = attrs.field(default=2048, validator=integer(1, "tokens"))
    """Most positions one step may compute, prompt and decodes together, >= 1."""

    prefix_cache: bool = attrs.field(default=False)
    """Whether tables may share blocks: ``Enter.cached`` may be above 0, and what a
    block holds outlives the sequence that computed it. Without it the kernel shares
    nothing, whatever its policy says."""

    @prefix_cache.validator
    def _check_prefix_cache(
        self, attribute: "attrs.Attribute[bool]", value: object
    ) -> None:
        if not isinstance(value, bool):
            fail(self, attribute, value, "True or False")


@runtime_checkable
class SyncBackend(Protocol):
    """A backend whose step blocks a thread."""

    @property
    def capacity(self) -> Capacity:
        """What it can hold; constant."""
        ...

    def step(self, plan: StepPlan) -> StepResult:
        """Execute a plan. If it raises, the backend is as before the plan."""
        ...

    def close(self) -> None:
        """Release everything. Called once, never while a step runs."""
        ...


@runtime_checkable
class AsyncBackend(Protocol):
    """A backend whose step suspends a task."""

    @property
    def capacity(self) -> Capacity:
        """What it can hold; constant."""
        ...

    def step(self, plan: StepPlan) -> Awaitable[StepResult]:
        """Execute a plan. If it raises, the backend is as before the plan."""
        ...

    def close(self) -> None:
        """Release everything. Called once, never while a step runs."""
        ...


Backend = SyncBackend | AsyncBackend
"""Either kind; the engine tells them apart by whether ``step`` is a coroutine
function."""
