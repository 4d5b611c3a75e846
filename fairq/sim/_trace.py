"""Traces from files: which format it is, and several files as one trace."""

import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from fairq._validators import is_integer
from fairq.errors import TraceError, UsageError
from fairq.sim._azure import is_azure, parse_azure
from fairq.sim._mooncake import parse_mooncake
from fairq.sim._plain import parse_plain
from fairq.sim._text import decode, read_text, stem
from fairq.sim._values import Job, Trace

TENANTS: Final = 16
BUNDLED: Final = "arena_27clients.csv"


def read_trace(path: str | Path, *, tenants: int = TENANTS) -> Trace:
    """Read a trace; its format is recognised by the first line, gzip by its bytes.

    * CSV with the columns ``arrival_s,client,prompt_tokens,output_tokens`` in any
      order (and ``req_id``, which is not used);
    * Azure: CSV with ``TIMESTAMP,ContextTokens,GeneratedTokens``; the whole file is
      one tenant, named like the file; times count from the first row;
    * Mooncake: a JSON object per line; the tenant is a hash of the prompt's second
      block, and arrivals are spread over the 3 s batches in which they were recorded.

    Costs O(rows) in time and memory. Nothing is skipped: a row that cannot be read
    as it stands is an error.

    Args:
        path: The file.
        tenants: How many tenants a Mooncake trace is divided into, >= 1.

    Raises:
        TraceError: the file or one of its rows is malformed: the message names file,
            line, column, what was expected and what came. Times must be finite,
            not negative and in order, lengths at least 1.
        UsageError: tenants is below 1.
    """
    if not is_integer(tenants) or tenants < 1:
        msg = f"read_trace: tenants must be an integer >= 1; got {tenants!r}."
        raise UsageError(msg)
    file, name = str(path), stem(path)
    jobs = _parse(read_text(path), file, name, tenants)
    if not jobs:
        msg = "expected at least one request below the header; got none."
        raise TraceError(msg, file=file)
    return Trace(name, jobs)


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
    Costs O(jobs * log(jobs)).

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
    jobs = [_prefixed(job, trace.name) for trace in traces for job in trace.jobs]
    jobs.sort(key=lambda job: job.arrival_s)
    return Trace("+".join(names), tuple(jobs))


def _prefixed(job: Job, name: str) -> Job:
    client = name if job.client == name else f"{name}/{job.client}"
    return attrs.evolve(job, client=client)


def _parse(text: str, file: str, name: str, tenants: int) -> tuple[Job, ...]:
    header = text.partition("\n")[0].removesuffix("\r")
    if header.startswith("{"):
        return parse_mooncake(text, file, tenants)
    if is_azure(header):
        return parse_azure(text, file, name)
    if "first_token_latency_s" in header.split(","):
        msg = "expected a trace; got the log of a run (read it with read_log)."
        raise TraceError(msg, file=file, line=1)
    return parse_plain(text, file)
