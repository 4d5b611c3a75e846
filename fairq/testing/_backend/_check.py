"""``check_backend``: whether a backend keeps the step protocol, all of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, cast

import attrs
from hypothesis import strategies as st

from fairq.backend import AsyncBackend, Backend, Capacity, SyncBackend
from fairq.errors import UsageError
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._arguments import DEADLINE_S, LOOPS, Arguments, asked
from fairq.testing._backend._bench import Bench, Factory
from fairq.testing._backend._crowds import crowded, samples, usual_requests
from fairq.testing._backend._deal import Names
from fairq.testing._backend._engine import served
from fairq.testing._backend._examiner import Examiner
from fairq.testing._backend._host import Host, host_of
from fairq.testing._backend._rehearsal import rehearse
from fairq.testing._backend._scenario import SITUATIONS, read_script
from fairq.testing._backend._sharing import shared
from fairq.testing._backend._trials import TRIALS as USUAL
from fairq.testing._obligations import Conformance, ObligationBroken

__all__ = ["check_backend"]

TRIALS: Final = (*USUAL, shared)
EXAMPLES: Final = 25
LONG: Final = 60
"""Lines of a run for which it is worth while to look for a shorter one."""
GENERATED: Final = (owed.BATCHED, owed.FAILED, owed.SHARED)
"""What is broken when a generated run goes wrong."""
ONLY_SET: Final = (
    *(each for each in SITUATIONS.values() if each not in GENERATED),
    owed.ENDS,
)
"""What generated runs do not tell apart, or take too long to: each step that hangs
takes its whole time."""


def check_backend(  # noqa: PLR0913  # each is one decision of the author
    factory: Callable[[], SyncBackend | AsyncBackend],
    *,
    requests: st.SearchStrategy[Request] | None = None,
    deterministic: bool = True,
    provoke: Callable[[Backend], object] | None = None,
    examples: int | None = None,
    loops: Sequence[str] = LOOPS,
    deadline_s: float = DEADLINE_S,
    scenario: str | Path | None = None,
) -> Conformance:
    """Check that a backend keeps every obligation of the step protocol.

        def test_conformance():
            check_backend(MyBackend)

    A real kernel drives fresh backends through set situations (chunks, batches, reuse
    of slots and blocks, preemption, cancels, a full pool, a long run, failed steps, and
    shared prefixes if the capacity has ``prefix_cache``), then an engine does, then
    come generated runs. It is the same each time.

    Args:
        factory: Makes a fresh backend; its class, say. It is called about 150 times,
            so load weights once, outside. A small capacity (8 to 64 blocks) makes for
            more to find; of a large one only a part is used.
        requests: What the backend understands, as a Hypothesis strategy. By default
            prompts of up to two blocks and a bit, token ids 0..31, no ``sampling``.
            Prompts are also cut, joined, and continued by what was said after them, so
            that some begin alike; they keep within the lengths that were drawn.
        deterministic: Whether the tokens of a request are a function of the request. If
            not, say False; then what came is not compared, only its form.
        provoke: Makes the next step of a backend raise, and only that one. Called in
            the thread of the steps. Without it failed steps are not checked.
        examples: Generated runs, >= 1; 25 by default.
        loops: Event loops to run an engine on, as anyio names them; coroutine steps run
            on the first.
        deadline_s: How long one step may take, in seconds, > 0.
        scenario: A run that went wrong, as a file or as text. Then this is all that is
            done: its calls are made on a kernel, and a fresh backend executes every
            plan under the same checks. ``requests`` and ``examples`` are not used.

    Returns:
        What was done, and what was not; it is printed if that is anything.

    Raises:
        ObligationBroken: an obligation is not kept; an ``AssertionError``. A note has
            the run as a scenario, and the call that plays it again.
        UsageError: an argument is out of its bounds, no request fits into the pool, or
            the scenario cannot be read.
        OSError: the file of the scenario cannot be read.

    Cost: 1,500 to 6,000 steps of a few positions; about 1 s for a backend that costs
    nothing.
    """
    given = Arguments(
        factory=factory,
        requests=requests,
        deterministic=deterministic,
        provoke=provoke,
        examples=EXAMPLES if examples is None else examples,
        loops=loops,
        deadline_s=deadline_s,
    )
    given.check()
    script = None if scenario is None else read_script(scenario)
    capacity, who, host = _first(factory, loops, deadline_s)
    usual = usual_requests(capacity) if requests is None else requests
    bench = Bench(
        factory, who, capacity, host, (), deterministic, provoke, float(deadline_s)
    )
    bench = attrs.evolve(bench, again=given.again())
    try:
        if script is None:
            _search(bench, usual.map(asked), given)
        else:
            rehearse(bench, script)
    finally:
        host.stop()
    return _report(bench)


def _search(bench: Bench, drawn: st.SearchStrategy[Request], given: Arguments) -> None:
    """All situations, an engine, generated runs."""
    count = cast("int", given.examples)
    bench = attrs.evolve(bench, requests=_samples(bench, drawn))
    try:
        for trial in TRIALS:
            trial(bench)
    except ObligationBroken as error:
        shorter = _shorter(bench, drawn, count, error)
        if shorter is None:
            raise
        # Whoever reads this wants one of them.
        raise shorter from shorter.__cause__
    served(bench, tuple(cast("Sequence[str]", given.loops)))
    crowded(bench, drawn, count)


def _shorter(
    bench: Bench,
    drawn: st.SearchStrategy[Request],
    count: int,
    error: ObligationBroken,
) -> ObligationBroken | None:
    """A generated run that breaks the same, and is shorter; None if there is none."""
    if error.obligation in ONLY_SET or _length(error) <= LONG:
        return None
    try:
        crowded(bench, drawn, count)
    except ObligationBroken as found:
        same = found.obligation is error.obligation
        return found if same and 0 < _length(found) < _length(error) else None
    return None


def _length(error: ObligationBroken) -> int:
    """Lines of its run; 0 without one."""
    return sum(len(note.splitlines()) for note in getattr(error, "__notes__", ()))


def _first(
    factory: Factory, loops: Sequence[str], deadline_s: float
) -> tuple[Capacity, str, Host]:
    """Make a backend to see what it is."""
    backend = factory()
    who = type(backend).__name__
    if isinstance(backend, type) or not isinstance(backend, Backend):
        owed.SHAPE.broken(who, "capacity, step and close", f"{backend!r}")
    capacity = backend.capacity
    if not isinstance(capacity, Capacity):
        owed.CAPACITY.broken(who, "a fairq.Capacity", repr(capacity))
    if backend.capacity != capacity:
        owed.CAPACITY.broken(who, f"{capacity} again", repr(backend.capacity))
    host = host_of(backend, loops)
    Examiner(backend, host, who, Names(), deadline_s).close()
    return capacity, who, host


def _samples(bench: Bench, drawn: st.SearchStrategy[Request]) -> tuple[Request, ...]:
    found = samples(bench, drawn)
    if not found:
        msg = (
            f"check_backend: requests must fit into the {bench.capacity.blocks} blocks "
            f"of {bench.who}; none does. Give it more, or draw shorter requests."
        )
        raise UsageError(msg)
    return found


def _report(bench: Bench) -> Conformance:
    report = Conformance(
        name=bench.who,
        steps=bench.tally.steps,
        preemptions=bench.tally.preemptions,
        cached_tokens=bench.tally.cached_tokens,
        not_checked=tuple(bench.tally.notes),
    )
    report.tell()
    return report
