"""Where a scenario is played: a kernel, a witness, and what each command does."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fairq.disciplines import Discipline
from fairq.errors import RequestRejected, UsageError
from fairq.events import Events
from fairq.kernel import Idle, Kernel
from fairq.plan import StepId, StepPlan, StepResult
from fairq.request import Request, RequestId
from fairq.testing._receipts import Receipts
from fairq.testing._transcript._calls import Pin, Raised, Unpin
from fairq.testing._transcript._journal import RecordingKernel
from fairq.testing._transcript._setting import (
    CAPACITY,
    POLICY,
    capacity_of,
    policy_of,
)
from fairq.testing._transcript._syntax import Arguments, BadLine, Line, read_command
from fairq.testing._transcript._words import described, happened, idle, ids, standing
from fairq.testing._witness import Witness, frozen
from fairq.tokens import TokenIds

MOST_STEPS: Final = 10_000
"""Steps after which ``run`` gives up."""

COMMANDS: Final = {
    "kernel": (*CAPACITY, *POLICY, "margin"),
    "submit": ("tenant", "prompt", "ids", "max_tokens", "adapter", "count", "now"),
    "cancel": ("id",),
    "plan": ("now",),
    "commit": ("tokens", "stop", "step"),
    "fail": ("step",),
    "step": ("count",),
    "run": (),
    "status": (),
    "pin": ("tenant", "prompt", "ids", "adapter"),
    "unpin": ("tenant", "prompt", "ids", "adapter"),
}
"""By command, the arguments it may have."""


class Stage:
    """Performs commands, and says what they print.

    Args:
        disciplines: Those that ``kernel policy=`` can name besides ``vtc``, ``fcfs``.
    """

    kernel: RecordingKernel
    misled: bool = False
    """Whether the kernel was made with ``margin=``, which no journal can tell."""
    _witness: Witness
    _receipts: Receipts

    def __init__(self, disciplines: Sequence[Discipline] = ()) -> None:
        self._disciplines = disciplines
        self._reset()

    def _reset(self) -> None:
        self._plan: StepPlan | None = None
        self._step = StepId(0)
        self._began: dict[RequestId, None] = {}

    def perform(self, line: Line) -> Iterator[str]:
        """Do what a line says; what it prints.

        Raises:
            UsageError: it cannot be read.
            AssertionError: the kernel has done what it must not.
            InvariantError: the same, found by ``Kernel.check``.
        """
        name, arguments = read_command(line, COMMANDS)
        if name != "kernel" and not hasattr(self, "kernel"):
            line.refuse("the command kernel before any other", name)
        method: Callable[[Arguments], Iterator[str]] = getattr(self, f"_do_{name}")
        try:
            yield from method(arguments)
        except BadLine:
            raise
        except (RequestRejected, UsageError) as error:
            yield str(Raised.of(error))

    # --- making one, looking at it --------------------------------------------------

    def _do_kernel(self, arguments: Arguments) -> Iterator[str]:
        capacity = capacity_of(arguments)
        self.kernel = RecordingKernel(capacity, policy_of(arguments, self._disciplines))
        self._witness, self._receipts = Witness(capacity), Receipts()
        self._reset()
        self.misled = arguments.given("margin")
        if self.misled:
            mislead(self.kernel, arguments)
        yield repr(self.kernel)

    def _do_status(self, _: Arguments) -> Iterator[str]:
        yield repr(self.kernel)
        yield from standing(self.kernel.snapshot())

    # --- requests -------------------------------------------------------------------

    def _do_submit(self, arguments: Arguments) -> Iterator[str]:
        prompt = _prompt(arguments)
        now = arguments.integer("now", 0)
        max_tokens = arguments.integer("max_tokens", 4)
        for _ in range(arguments.count("count")):
            request = Request(
                tenant=arguments.name("tenant", "a"),
                prompt=TokenIds(prompt),
                max_tokens=max_tokens,
                adapter=_adapter(arguments),
            )
            yield f"request {self.kernel.submit(request, now)}"
            self.kernel.check()

    def _do_cancel(self, arguments: Arguments) -> Iterator[str]:
        request_id = RequestId(arguments.needed("id"))
        yield from self._told(self.kernel.cancel(request_id))

    def _do_pin(self, arguments: Arguments) -> Iterator[str]:
        yield from self._pinned(Pin, arguments)

    def _do_unpin(self, arguments: Arguments) -> Iterator[str]:
        yield from self._pinned(Unpin, arguments)

    def _pinned(
        self, kind: type[Pin] | type[Unpin], arguments: Arguments
    ) -> Iterator[str]:
        tenant = arguments.name("tenant", "a")
        call = kind(tenant, TokenIds(_prompt(arguments)), _adapter(arguments))
        yield str(call.perform(self.kernel))
        self.kernel.check()

    # --- steps ----------------------------------------------------------------------

    def _do_plan(self, arguments: Arguments) -> Iterator[str]:
        plan = self.kernel.plan(arguments.integer("now", 0))
        if isinstance(plan, Idle):
            yield idle(plan)
            return
        # A copy: the witness sees it when it has been answered.
        self._plan, self._step = frozen(plan), plan.step_id
        self.kernel.check()
        yield from described(plan)

    def _do_commit(self, arguments: Arguments) -> Iterator[str]:
        plan = self._plan
        usual = {} if plan is None else self._witness.answer(plan)
        given = arguments.tokens("tokens", {int(id_): usual[id_] for id_ in usual})
        tokens = {RequestId(id_): token for id_, token in given.items()}
        stopped = tuple(map(RequestId, arguments.integers("stop")))
        step_id = StepId(arguments.integer("step", self._step))
        events = self.kernel.commit(StepResult(step_id, tokens, stopped))
        if plan is None:
            msg = f"Expected no answer to be taken, without a plan; got {events}."
            raise AssertionError(msg)
        self._executed(plan, stopped, tokens)
        yield from self._told(events)

    def _executed(
        self,
        plan: StepPlan,
        stopped: tuple[RequestId, ...],
        tokens: dict[RequestId, int],
    ) -> None:
        self._plan = None
        self._witness.execute(plan, stopped, tokens)
        self._began |= dict.fromkeys(chunk.request_id for chunk in plan.chunks)

    def _do_fail(self, arguments: Arguments) -> Iterator[str]:
        events = self.kernel.fail(StepId(arguments.integer("step", self._step)))
        self._plan = None
        yield from self._told(events)

    def _do_step(self, arguments: Arguments) -> Iterator[str]:
        nothing = Arguments(arguments.line)
        for _ in range(arguments.count("count")):
            yield from self._do_plan(nothing)
            yield from self._do_commit(nothing)

    def _do_run(self, arguments: Arguments) -> Iterator[str]:
        steps = 0
        nothing = Arguments(arguments.line)
        while self.kernel.snapshot().requests:
            if steps == MOST_STEPS:
                msg = f"Not done after {steps} steps: {self.kernel!r}."
                raise AssertionError(msg)
            list(self._do_step(nothing))
            steps += 1
        yield f"{steps} steps, {len(self._receipts.finished)} finished"
        yield f"began in the order {ids(self._began)}"
        yield f"preempted {ids(self._receipts.preempted)}"
        after = self.kernel.snapshot()
        yield f"recomputed {after.recomputed_tokens} positions"
        if after.cached_tokens:
            yield f"found {after.cached_tokens} positions"

    def _told(self, events: Events) -> Iterator[str]:
        self.kernel.check()
        self._receipts.note(events)
        yield from happened(events)


def _prompt(arguments: Arguments) -> tuple[int, ...]:
    """Token ids: those that are said, or 1, 2, 3, ..."""
    if arguments.given("ids") and arguments.given("prompt"):
        arguments.line.refuse("either prompt= or ids=", arguments.line.text)
    if arguments.given("ids"):
        return arguments.integers("ids")
    return tuple(range(1, arguments.integer("prompt", 4) + 1))


def _adapter(arguments: Arguments) -> str | None:
    return arguments.name("adapter", "") if arguments.given("adapter") else None


def mislead(kernel: Kernel, arguments: Arguments) -> None:
    """As if many requests had ended: nobody is expected to grow."""
    rule = kernel._life.rule
    if not hasattr(rule, "_margin"):
        arguments.line.refuse("margin= with optimistic admission only", "reserve")
    rule._margin = arguments.integer("margin", 0)
