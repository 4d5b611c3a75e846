"""The traces that a command names: files, or groups that are made up."""

from argparse import Namespace
from pathlib import Path
from typing import Final

from fairq.errors import UsageError
from fairq.sim import Trace, merge_traces, parse_groups, read_trace

GROUPS: Final = "groups:"


def trace_of(arguments: Namespace) -> Trace:
    """All traces of a command line as one, as fast as it says.

    Raises:
        UsageError: there is none, or two have the same name.
        TraceError: a file is malformed.
    """
    if not arguments.traces:
        msg = "replay: expected at least one TRACE, got none."
        raise UsageError(msg)
    trace = merge_traces([_one(path, arguments) for path in arguments.traces])
    return trace.scaled(arguments.speed)


def _one(path: Path, arguments: Namespace) -> Trace:
    spec = str(path)
    if spec.startswith(GROUPS):
        return parse_groups(spec)
    return read_trace(
        path,
        tenants=arguments.tenants,
        divide_lengths=arguments.divide_lengths,
        window_s=arguments.window,
        longest_pause_s=arguments.longest_pause,
    )
