"""Traces from files: which format it is, and several files as one trace."""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from fairq._validators import is_finite, is_integer
from fairq.errors import TraceError, UsageError
from fairq.sim._azure import is_azure, parse_azure
from fairq.sim._content import Span
from fairq.sim._mooncake import parse_mooncake
from fairq.sim._order import in_order
from fairq.sim._plain import parse_plain
from fairq.sim._sessions import WINDOW_S, SessionOptions, is_sessions, parse_sessions
from fairq.sim._text import decode, read_text, stem
from fairq.sim._values import Job, Trace

TENANTS: Final = 16
BUNDLED: Final = "arena_27clients.csv"


def read_trace(
    path: str | Path,
    *,
    tenants: int = TENANTS,
    divide_lengths: int = 1,
    window_s: float = WINDOW_S,
    longest_pause_s: float | None = None,
) -> Trace:
    """Read a trace; its format is recognised by the first line, gzip by its bytes.

    * CSV with the columns ``arrival_s,client,prompt_tokens,output_tokens`` in any
      order (and ``req_id``, which is not used);
    * Azure: CSV with ``TIMESTAMP,ContextTokens,GeneratedTokens``; the whole file is
      one tenant, named like the file; times count from the first row;
    * Mooncake: a JSON object per line; the tenant is a hash of the prompt's second
      block, arrivals are spread over the 3 s batches in which they were recorded, and
      ``hash_ids`` say what prompts have in common;
    * agent sessions: a JSON object per line with ``requests``; each is a tenant and a
      closed loop: a call comes some time after the one before it is over.

    Costs O(rows) in time and memory. Nothing is skipped: a row that cannot be read
    as it stands is an error.

    Args:
        path: The file.
        tenants: How many tenants a Mooncake trace is divided into, >= 1.
        divide_lengths: By what all lengths of agent sessions are divided, >= 1; it must
            divide their block size.
        window_s: In how many seconds agent sessions begin, evenly spaced, >= 0.
        longest_pause_s: The longest pause between two calls of a session, in seconds,
            >= 0; longer ones are cut. None keeps them: people pause for hours.

    Raises:
        TraceError: the file or one of its rows is malformed: the message names file,
            line, column, what was expected and what came. Times must be finite,
            not negative and in order, lengths at least 1.
        UsageError: an option is out of its bounds.
    """
    _check_count("tenants", tenants)
    _check_count("divide_lengths", divide_lengths)
    _check_seconds("window_s", window_s)
    if longest_pause_s is not None:
        _check_seconds("longest_pause_s", longest_pause_s)
    file, name, text = str(path), stem(path), read_text(path)
    if is_sessions(_first_line(text)):
        options = SessionOptions(
            divide=divide_lengths, window_s=window_s, longest_pause_s=longest_pause_s
        )
        jobs = parse_sessions(text, file, options)
    else:
        jobs = _parse(text, file, name, tenants)
    if not jobs:
        msg = "expected at least one request below the header; got none."
        raise TraceError(msg, file=file)
    return Trace(name, jobs)


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or not is_integer(value) or value < 1:
        msg = f"read_trace: {name} must be an integer >= 1; got {value!r}."
        raise UsageError(msg)


def _check_seconds(name: str, value: float) -> None:
    if not is_finite(value) or value < 0:
        msg = f"read_trace: {name} must be a finite number >= 0; got {value!r}."
        raise UsageError(msg)


def bundled_trace() -> Trace:
    """The trace that comes with fairq: 1,500 requests of 27 tenants in 600 s.

    Real times and lengths of Chatbot Arena, from the artifact of the VTC paper
    (https://github.com/Ying1123/VTC-artifact, Apache-2.0).
    """
    file = importlib.resources.files("fairq").joinpath("data", BUNDLED)
    return Trace("arena", parse_plain(decode(file.read_bytes(), BUNDLED), BUNDLED))


def merge_traces(traces: Sequence[Trace]) -> Trace:
    """One trace out of several; of equal arrivals, those of the first trace lead.

    With more than one, tenants are kept apart by file: a tenant becomes
    ``file/tenant`` (or just ``file``, when it is named like the file already).
    Prompts of different files have nothing in common. Costs O(jobs * log(jobs)).

    Raises:
        UsageError: there is no trace, or two have the same name.
    """
    names = [trace.name for trace in traces]
    if not names:
        msg = "merge_traces: expected at least one trace; got none."
        raise UsageError(msg)
    if len(dict.fromkeys(names)) < len(names):
        msg = (
            f"merge_traces: tenants are kept apart by file name, so expected different "
            f"names; got {', '.join(names)}. Rename one of the files."
        )
        raise UsageError(msg)
    if len(traces) == 1:
        return traces[0]
    jobs: list[Job] = []
    ids = 0
    for trace in traces:
        mover = _Mover(trace.name, ids, len(jobs))
        jobs += map(mover.moved, trace.jobs)
        ids = max(ids, mover.ids)
    return Trace("+".join(names), in_order(jobs))


@attrs.define
class _Mover:
    """Moves the jobs of one trace into a common one."""

    name: str
    offset: int
    """Added to the ids of content, so that files have nothing in common."""
    place: int
    """Where its first job comes to stand."""
    ids: int = 0
    """The ids of content moved so far are below this."""
    _moved: dict[int, Span] = attrs.field(factory=dict)
    """Spans by their address: jobs share them, before and after."""

    def moved(self, job: Job) -> Job:
        client = self.name if job.client == self.name else f"{self.name}/{job.client}"
        content, after = job.content, job.after
        if content is not None:
            content = tuple(map(self._span, content))
        if after is not None:
            after += self.place
        return attrs.evolve(job, client=client, content=content, after=after)

    def _span(self, span: Span) -> Span:
        moved = self._moved.get(id(span))
        if moved is None:
            moved = self._moved[id(span)] = span.shifted(self.offset)
            self.ids = max(self.ids, moved.end)
        return moved


def _parse(text: str, file: str, name: str, tenants: int) -> tuple[Job, ...]:
    header = _first_line(text)
    if header.startswith("{"):
        return parse_mooncake(text, file, tenants)
    if is_azure(header):
        return parse_azure(text, file, name)
    if "first_token_latency_s" in header.split(","):
        msg = "expected a trace; got the log of a run (read it with read_log)."
        raise TraceError(msg, file=file, line=1)
    return parse_plain(text, file)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].removesuffix("\r")
