"""``check_backend``: whether a backend keeps the step protocol, all of it."""

from collections.abc import Callable, Sequence
from typing import Final

import attrs
from hypothesis import strategies as st

from fairq._validators import is_finite, is_integer
from fairq.backend import AsyncBackend, Backend, Capacity, SyncBackend
from fairq.errors import UsageError
from fairq.request import Request
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._bench import Bench, Factory
from fairq.testing._backend._crowds import crowded, samples, usual_requests
from fairq.testing._backend._deal import Names
from fairq.testing._backend._engine import served
from fairq.testing._backend._examiner import Examiner
from fairq.testing._backend._host import Host, host_of
from fairq.testing._backend._trials import TRIALS
from fairq.testing._obligations import Conformance

__all__ = ["check_backend"]

EXAMPLES: Final = 25
DEADLINE_S: Final = 30.0


def check_backend(  # noqa: PLR0913  # each is one decision of the author
    factory: Callable[[], SyncBackend | AsyncBackend],
    *,
    requests: st.SearchStrategy[Request] | None = None,
    deterministic: bool = True,
    provoke: Callable[[Backend], object] | None = None,
    examples: int | None = None,
    loops: Sequence[str] = ("asyncio", "trio"),
    deadline_s: float = DEADLINE_S,
) -> Conformance:
    """Check that a backend keeps every obligation of the step protocol.

        def test_conformance():
            check_backend(MyBackend)

    A real kernel drives fresh backends through set situations (chunks, batches, reuse
    of slots and blocks, preemption, cancels, a full pool, a long run, failed steps),
    then an engine does, then come generated runs. It is the same each time.

    Args:
        factory: Makes a fresh backend; its class, say. It is called about 150 times,
            so load weights once, outside. A small capacity (8 to 64 blocks) makes for
            more to find; of a large one only a part is used.
        requests: What the backend understands, as a Hypothesis strategy. By default
            prompts of up to two blocks and a bit, token ids 0..31, no ``sampling``.
        deterministic: Whether the tokens of a request are a function of the request. If
            not, say False; then what came is not compared, only its form.
        provoke: Makes the next step of a backend raise, and only that one. Called in
            the thread of the steps. Without it failed steps are not checked.
        examples: Generated runs, >= 1; 25 by default.
        loops: Event loops to run an engine on, as anyio names them; coroutine steps run
            on the first.
        deadline_s: How long one step may take, in seconds, > 0.

    Returns:
        What was done, and what was not; it is printed if that is anything.

    Raises:
        ObligationBroken: an obligation is not kept; an ``AssertionError``. A note has
            the run as a scenario.
        UsageError: an argument is out of its bounds, or no request fits into the pool.

    Cost: 1,500 to 6,000 steps of a few positions; about 1 s for a backend that costs
    nothing.
    """
    count = EXAMPLES if examples is None else examples
    _check_arguments(factory, count, deadline_s)
    capacity, who, host = _first(factory, loops, deadline_s)
    asked = usual_requests(capacity) if requests is None else requests
    bench = Bench(
        factory, who, capacity, host, (), deterministic, provoke, float(deadline_s)
    )
    bench = attrs.evolve(bench, requests=_samples(bench, asked))
    try:
        for trial in TRIALS:
            trial(bench)
        served(bench, tuple(loops))
        crowded(bench, asked, count)
    finally:
        host.stop()
    return _report(bench)


def _check_arguments(factory: object, examples: object, deadline_s: object) -> None:
    if not callable(factory):
        expected = "something callable that makes a backend, such as its class"
        msg = f"check_backend: factory must be {expected}; got {factory!r}."
        raise UsageError(msg)
    if not is_integer(examples) or examples < 1:  # type: ignore[operator]  # is_integer proves it, but cannot tell mypy for object
        msg = f"check_backend: examples must be an integer >= 1; got {examples!r}."
        raise UsageError(msg)
    if not is_finite(deadline_s) or deadline_s <= 0:  # type: ignore[operator]  # as above
        expected = "a finite number > 0 (seconds)"
        msg = f"check_backend: deadline_s must be {expected}; got {deadline_s!r}."
        raise UsageError(msg)


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


def _samples(bench: Bench, asked: st.SearchStrategy[Request]) -> tuple[Request, ...]:
    found = samples(bench, asked)
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
        not_checked=tuple(bench.tally.notes),
    )
    report.tell()
    return report
