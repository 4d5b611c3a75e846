"""Agent sessions: a JSON object per line, each a chain of calls that grow on.

Source: https://github.com/callanjfox/kv-cache-tester, Apache-2.0, as converted for
fairq. Keys of a session: ``id``, ``block_size`` and ``requests`` (``model``,
``tool_tokens`` and ``system_tokens`` are not used). Of a request: ``t`` (seconds since
the session began), ``in``, ``out`` (tokens), ``keep`` and ``new`` (the ids of its
blocks are the first ``keep`` of the call before, and then ``n`` ids from ``s`` on for
each ``[s, n]`` of ``new``), ``think``, ``api`` (seconds) and ``tool``. A request may
also be ``{"t", "sub"}``: the end of a sub-agent that ran for ``dur_s``.

How it is read:

* A session is a tenant, named by its id, and shares nothing with other sessions: ids
  of blocks are local to it.
* It is a closed loop. In the file ``t`` is ``t + api`` of the call before, plus
  ``think``: so ``think`` is all that passes between two calls, which is the tool's time
  where the call brings results (``tool`` is 1), and the person's where it does not.
  Where it is null, it is that difference, at least 0, with a null ``api`` as 0.
* The calls of a sub-agent are a chain of the same tenant. Its first call comes as long
  after the call above it as ``t - dur_s`` is after that call's end, at least 0. The
  main chain does not wait for it: its own ``think`` holds that wait.
* The sessions have no common clock. The i-th of n begins at i/n of a window.
* All lengths can be divided by a number, rounded down, at least 1; it divides the
  block size. What the blocks do not reach is like no other prompt.
"""

from collections.abc import Iterator
from typing import Final

import attrs

from fairq._validators import is_integer
from fairq.errors import UsageError
from fairq.sim._content import Span, cut
from fairq.sim._jsonl import Line, read_lines
from fairq.sim._order import in_order
from fairq.sim._values import Job

SESSION: Final = ("id", "block_size", "requests")
ASIDE: Final = ("model", "tool_tokens", "system_tokens")
CALL: Final = ("t", "in", "out", "keep", "new", "think", "api", "tool")
CALL_ASIDE: Final = ("stop", "ttft")
SUB: Final = ("dur_s", "requests")
SUB_ASIDE: Final = ("id", "type")
WINDOW_S: Final = 60.0


@attrs.frozen(kw_only=True)
class SessionOptions:
    """How sessions become a load."""

    divide: int = 1
    """All lengths are divided by this."""
    window_s: float = WINDOW_S
    """In which all of them begin."""
    longest_pause_s: float | None = None
    """Longer pauses are cut to this; None keeps them."""


@attrs.frozen
class End:
    """The call before, as far as the next one needs it."""

    place: int
    """Among the jobs of the file."""
    nominal_s: float
    """When it would come if calls took no time."""
    recorded_s: float
    """When it was over, since the session began."""


class Sessions:
    """Reads the sessions of a file, one after another."""

    def __init__(self, options: SessionOptions) -> None:
        self._options = options
        self._jobs: list[Job] = []
        self._tenant = ""
        self._ids = 0
        """Ids below this belong to sessions read before."""
        self._next_ids = 0
        self._tokens = 0
        """Per block, divided."""

    def jobs(self) -> tuple[Job, ...]:
        """All calls so far, in the order in which they would come at once."""
        return in_order(self._jobs)

    def read(self, line: Line, begin_s: float) -> None:
        """Add one session."""
        line.check_keys(SESSION, ASIDE)
        name = line.values["id"]
        if not isinstance(name, str) or not name:
            line.fail("id", "a name that is not empty")
        self._tenant = name
        self._tokens, rest = divmod(
            line.whole("block_size", 1, "tokens"), self._options.divide
        )
        if rest:
            line.fail("block_size", f"a multiple of {self._options.divide}")
        self._ids = self._next_ids
        self._chain(line, None, begin_s)

    def _chain(self, line: Line, before: End | None, begin_s: float) -> None:
        """Add the calls of a session or of a sub-agent."""
        content: tuple[Span, ...] = ()
        end = before
        for call in line.inner("requests"):
            if "sub" in call.values:
                self._sub(call, end, begin_s)
                continue
            call.check_keys(CALL, CALL_ASIDE)
            content = self._content(call, content)
            first = end is before
            pause = begin_s if first else self._pause(call, end)
            end = self._call(call, end, pause, content)

    def _sub(self, call: Line, end: End | None, begin_s: float) -> None:
        """A sub-agent begins some time after the call above it."""
        call.check_keys(("t", "sub"))
        sub = call.object(call.values["sub"], "sub")
        sub.check_keys(SUB, SUB_ASIDE)
        began = call.number_of("t", "seconds") - sub.number_of("dur_s", "seconds")
        after = end.recorded_s if end else 0.0
        pause = self._cut(max(0.0, began - after))
        self._chain(sub, end, pause if end else begin_s + pause)

    def _pause(self, call: Line, end: End | None) -> float:
        if call.values["think"] is not None:
            return self._cut(call.number_of("think", "seconds"))
        after = end.recorded_s if end else 0.0
        return self._cut(max(0.0, call.number_of("t", "seconds") - after))

    def _cut(self, pause: float) -> float:
        longest = self._options.longest_pause_s
        return pause if longest is None else min(pause, longest)

    def _call(
        self, call: Line, end: End | None, pause: float, content: tuple[Span, ...]
    ) -> End:
        divide = self._options.divide
        prompt = max(1, call.whole("in", 0, "tokens") // divide)
        nominal = pause + (end.nominal_s if end else 0.0)
        job = Job(
            self._tenant,
            nominal,
            prompt,
            max(1, call.whole("out", 0, "tokens") // divide),
            tuple(cut(content, prompt // self._tokens)),
            end.place if end else None,
            pause if end else 0.0,
        )
        self._jobs.append(job)
        took = 0.0 if call.values["api"] is None else call.number_of("api", "seconds")
        over = call.number_of("t", "seconds") + took
        return End(len(self._jobs) - 1, nominal, over)

    def _content(self, call: Line, before: tuple[Span, ...]) -> tuple[Span, ...]:
        """The blocks of a call, of which it shares the first with the one before."""
        had = sum(span.count for span in before)
        keep = call.whole("keep", 0, "blocks")
        if keep > had:
            call.fail("keep", f"at most the {had} blocks of the call before")
        return (*cut(before, keep), *self._new(call))

    def _new(self, call: Line) -> Iterator[Span]:
        value = call.values["new"]
        if not isinstance(value, list) or not all(map(_is_range, value)):
            call.fail("new", "a list of [first id >= 0, number of ids >= 1]")
        for first, count in value:
            try:
                span = Span(self._ids + first, count, self._tokens)
            except UsageError:
                call.fail("new", "ids below 2**30 in all sessions together")
            self._next_ids = max(self._next_ids, span.end)
            yield span


def _is_range(value: object) -> bool:
    match value:
        case [int(first), int(count)]:
            return is_integer(first) and first >= 0 and is_integer(count) and count >= 1
        case _:
            return False


def parse_sessions(text: str, file: str, options: SessionOptions) -> tuple[Job, ...]:
    """The calls of a file of sessions. Costs O(calls * spans of each).

    Raises:
        TraceError: see ``read_trace``.
    """
    lines = list(read_lines(text, file))
    sessions = Sessions(options)
    for place, line in enumerate(lines):
        sessions.read(line, options.window_s * place / len(lines))
    return sessions.jobs()


def is_sessions(header: str) -> bool:
    """Whether a first line is that of a file of sessions."""
    return '"requests"' in header
