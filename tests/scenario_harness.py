"""Runs transcripts: what a reader of tests/scenarios/*.txt may write, and what it does.

A file is a list of blocks with an empty line between them. A block is

    # why this is here
    command key=value key=value
    ----
    what it prints

Lines with ``#`` are for the reader. Several commands may share one block. Every
command is followed by ``kernel.check()``; a step is also executed by a backend that
checks what it is told. Commands:

    kernel blocks=64 block_size=4 sequences=8 tokens=64 policy=vtc slack=0
           admission=optimistic weights=a:1,b:3 max_waiting=9 max_failures=3 margin=0
    submit tenant=a prompt=4 max_tokens=4 count=1
    cancel id=0
    plan
    commit stop=0,1
    step count=1           (plan and commit)
    run                    (steps until nothing is left; prints a summary)
    fail
    status
"""

import shlex
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

from fairq import (
    Admission,
    Discipline,
    Events,
    Fcfs,
    Idle,
    Policy,
    RequestId,
    RequestRejected,
    StepPlan,
    UsageError,
    Vtc,
)
from tests.kernel.driving import Loop, capacity

LINE = "----"
Arguments = dict[str, str]


@attrs.define
class Block:
    """Commands with their comments, and what they are expected to print."""

    commands: list[str]
    expected: list[str]

    def text(self, printed: list[str]) -> str:
        return "\n".join([*self.commands, LINE, *printed])


def read(path: Path) -> list[Block]:
    """The blocks of a file; comments at its head belong to the first block."""
    blocks = []
    for part in path.read_text().strip().split("\n\n"):
        commands, _, expected = part.partition(f"\n{LINE}")
        blocks.append(Block(commands.splitlines(), expected.strip("\n").splitlines()))
    return blocks


def write(path: Path, blocks: list[Block], printed: list[list[str]]) -> None:
    """Write a file again, with what was printed as what is expected."""
    parts = [block.text(lines) for block, lines in zip(blocks, printed, strict=True)]
    path.write_text("\n\n".join(parts) + "\n")


def run(blocks: list[Block]) -> list[list[str]]:
    """What each block prints."""
    stage = Stage()
    return [[*stage.perform(block.commands)] for block in blocks]


class Stage:
    """A kernel, and the plan that is outstanding."""

    loop: Loop
    outstanding: StepPlan

    def perform(self, commands: list[str]) -> Iterator[str]:
        for command in commands:
            if not command.startswith("#"):
                name, *pairs = shlex.split(command)
                arguments = dict(pair.split("=", 1) for pair in pairs)
                yield from self.call(name, arguments)
                self.loop.kernel.check()

    def call(self, name: str, arguments: Arguments) -> Iterator[str]:
        method: Callable[[Arguments], Iterator[str]] = getattr(self, f"do_{name}")
        try:
            yield from method(arguments)
        except RequestRejected as error:
            again = "later" if error.retryable else "never"
            yield f"rejected ({again}): {error}"
        except UsageError as error:
            yield f"error: {error}"

    def do_kernel(self, arguments: Arguments) -> Iterator[str]:
        sizes = {"blocks", "block_size", "sequences", "tokens"} & arguments.keys()
        room = capacity(**{name: int(arguments[name]) for name in sorted(sizes)})
        self.loop = Loop(room, policy(arguments))
        if "margin" in arguments:
            # As if many requests had ended: nobody is expected to grow.
            margin = int(arguments["margin"])
            self.loop.kernel._life.rule._margin = margin  # type: ignore[attr-defined]  # of the optimistic rule
        yield repr(self.loop.kernel)

    def do_submit(self, arguments: Arguments) -> Iterator[str]:
        for _ in range(int(arguments.get("count", "1"))):
            request_id = self.loop.submit(
                arguments.get("tenant", "a"),
                int(arguments.get("prompt", "4")),
                int(arguments.get("max_tokens", "4")),
            )
            yield f"request {request_id}"

    def do_cancel(self, arguments: Arguments) -> Iterator[str]:
        yield from events(self.loop.cancel(RequestId(int(arguments["id"]))))

    def do_plan(self, _: Arguments) -> Iterator[str]:
        plan = self.loop.kernel.plan()
        if isinstance(plan, Idle):
            yield f"idle: {plan.value}"
        else:
            self.outstanding = plan
            yield from described(plan)

    def do_commit(self, arguments: Arguments) -> Iterator[str]:
        stop = [
            RequestId(int(id_)) for id_ in arguments.get("stop", "").split(",") if id_
        ]
        yield from events(self.loop.answer(self.outstanding, stop))

    def do_step(self, arguments: Arguments) -> Iterator[str]:
        for _ in range(int(arguments.get("count", "1"))):
            yield from self.do_plan({})
            yield from self.do_commit({})

    def do_run(self, _: Arguments) -> Iterator[str]:
        steps = self.loop.run()
        snapshot = self.loop.kernel.snapshot()
        yield f"{steps} steps, {len(self.loop.finished)} finished"
        yield f"began in the order {self.order()}"
        yield f"preempted {ids(self.loop.preempted)}"
        yield f"recomputed {snapshot.recomputed_tokens} positions"

    def order(self) -> str:
        first = sorted(self.loop.first_step.items(), key=lambda item: item[1])
        return ids(id_ for id_, _ in first)

    def do_fail(self, _: Arguments) -> Iterator[str]:
        yield from events(self.loop.fail(self.outstanding))

    def do_status(self, _: Arguments) -> Iterator[str]:
        snapshot = self.loop.kernel.snapshot()
        yield repr(self.loop.kernel)
        for tenant in snapshot.tenants:
            yield (
                f"{tenant.tenant}: counter {tenant.counter:g}, service "
                f"{tenant.service:g}, {tenant.waiting} waiting, "
                f"{tenant.running} running"
            )
        for request in snapshot.requests:
            yield (
                f"request {request.request_id}: {request.phase.value}, "
                f"{request.output_tokens}/{request.max_tokens} tokens, "
                f"blocks {ids(request.blocks)}"
            )


def policy(arguments: Arguments) -> Policy:
    pairs = [
        pair.split(":") for pair in arguments.get("weights", "").split(",") if pair
    ]
    limits: dict[str, Any] = {
        name: int(arguments[name])
        for name in ("max_waiting", "max_waiting_per_tenant", "max_failures")
        if name in arguments
    }
    return Policy(
        weights={name: float(weight) for name, weight in pairs},
        discipline=discipline(arguments),
        admission=Admission(arguments.get("admission", "optimistic")),
        **limits,
    )


def discipline(arguments: Arguments) -> Discipline:
    if arguments.get("policy", "vtc") == "fcfs":
        return Fcfs()
    return Vtc(float(arguments.get("slack", "0")))


def described(plan: StepPlan) -> Iterator[str]:
    yield f"step {plan.step_id}: {plan.tokens} positions"
    if plan.leave:
        yield f"  leave {ids(plan.leave)}"
    for request_id, block in plan.grow:
        yield f"  grow {request_id} by block {block}"
    for entry in plan.enter:
        yield (
            f"  enter {entry.request_id} with {len(entry.tokens)} tokens, "
            f"slot {entry.slot}, blocks {ids(entry.blocks)}"
        )
    for chunk in plan.chunks:
        end = " and sample" if chunk.samples else ""
        yield f"  chunk {chunk.request_id}: {chunk.start} + {chunk.length}{end}"
    if plan.decodes:
        yield f"  decode {ids(plan.decodes)}"


def events(happened: Events) -> Iterator[str]:
    if happened.tokens:
        yield "tokens " + " ".join(f"{i}:{t}" for i, t in happened.tokens.items())
    for end in happened.finished:
        count = f"{end.output_tokens} tokens"
        yield f"finished {end.request_id}: {end.reason.value}, {count}"
    if happened.preempted:
        yield f"preempted {ids(happened.preempted)}"
    if not happened:
        yield "nothing"


def ids(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers)) or "none"
