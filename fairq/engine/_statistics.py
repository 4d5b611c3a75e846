"""What an engine tells about itself, as one frozen value."""

import attrs

from fairq.kernel import Snapshot

__all__ = ["Statistics"]


@attrs.frozen(kw_only=True)
class Statistics:
    """Counts since the engine was opened, and how things stand now."""

    backend: str
    """Name of the backend."""
    steps: int
    """Steps that were answered, the failed ones not included."""
    failed_steps: int
    """Steps in which the backend raised or answered wrongly."""
    tokens: int
    """Tokens handed to streams. Tokens of requests that had been cancelled while the
    step ran are not counted."""
    streams: int
    """Streams that have not ended: their requests wait or run."""
    buffered: int
    """Tokens in the buffers of those streams, not read yet."""
    kernel: Snapshot
    """What waits and runs, preemptions, the service of each tenant. While the tokens of
    a step are being handed out it is ahead of ``tokens`` by that step."""
