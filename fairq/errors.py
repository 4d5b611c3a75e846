"""The errors of fairq, told apart by whose move is next.

==================  =====================================================
class               who must act
==================  =====================================================
RequestRejected     the requester: shorten the prompt, or try again later
UsageError          the embedder: a call or a value that cannot be right
BackendError        the author of the backend: a step failed or answered wrongly
InvariantError      the authors of fairq: please report the snapshot in it
EngineClosed        whoever still holds a stream of an engine that is gone
ReaderTooSlow       the reader of one stream, who let its buffer fill up
TraceError          the author of a trace or log file
==================  =====================================================

Messages say what was expected, what came and what to do. What a program may want
to act on is also an attribute.
"""

__all__ = [
    "BackendError",
    "EngineClosed",
    "FairqError",
    "InvariantError",
    "ReaderTooSlow",
    "RequestRejected",
    "TraceError",
    "UsageError",
]


class FairqError(Exception):
    """Base class of every error that fairq raises on purpose. All can be pickled."""

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is made anew from its message alone; these have attributes too.
        return _restore, (type(self), self.args, self.__dict__)


class RequestRejected(FairqError):
    """The kernel refused a request at ``submit``; nothing was queued.

    Attributes:
        retryable: True when the same request may be accepted later (a queue is
            full), False when it can never run on this backend.
        needed: How much the request asks for, in the unit the message names.
        available: How much there is, in the same unit.
    """

    def __init__(
        self, message: str, *, retryable: bool, needed: int, available: int
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.needed = needed
        self.available = available


class UsageError(FairqError, ValueError):
    """A value or a call that cannot be right; nothing was changed by it."""


class BackendError(FairqError):
    """A step failed for good, or a backend could not be loaded.

    Attributes:
        backend: Name of the backend.
        step_id: The step that failed, or None when no step was involved.
    """

    def __init__(
        self, message: str, *, backend: str, step_id: int | None = None
    ) -> None:
        super().__init__(message)
        self.backend = backend
        self.step_id = step_id


class InvariantError(FairqError):
    """fairq found its own state to be inconsistent: a bug in fairq.

    Attributes:
        snapshot: The state in which it was found, for the report.
    """

    def __init__(self, message: str, *, snapshot: object) -> None:
        super().__init__(
            f"{message} This is a bug in fairq; please report it with this "
            f"snapshot: {snapshot!r}"
        )
        self.snapshot = snapshot


class EngineClosed(FairqError):
    """The engine was shut down before the request had finished."""


class ReaderTooSlow(FairqError):
    """The reader of one stream let its buffer fill up; its request was cancelled.

    The tokens that were buffered are delivered before this is raised.

    Attributes:
        buffered: The size of the buffer, in tokens.
    """

    def __init__(self, message: str, *, buffered: int) -> None:
        super().__init__(message)
        self.buffered = buffered


class TraceError(FairqError, ValueError):
    """A trace or log file cannot be read.

    Attributes:
        file: The file as it was named by the caller.
        line: Line in the file, counted from 1 (the header is line 1); 0 when the
            whole file is meant.
        column: Name of the column, or None when the whole line is meant.
    """

    def __init__(
        self, expected: str, *, file: str, line: int = 0, column: str | None = None
    ) -> None:
        place = file if line == 0 else f"{file}, line {line}"
        if column is not None:
            place = f"{place}, column {column!r}"
        super().__init__(f"{place}: {expected}")
        self.file = file
        self.line = line
        self.column = column


def _restore(
    kind: type[FairqError], args: tuple[object, ...], attributes: dict[str, object]
) -> FairqError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
