"""What a backend says to a request before the kernel knows of it.

``check`` is the one optional member of a backend; ``fairq.backend`` says what it owes.
"""

from collections.abc import Callable
from inspect import iscoroutinefunction

from fairq.backend import Backend
from fairq.errors import UsageError
from fairq.request import Request

__all__ = ["Check", "request_check"]

Check = Callable[[Request], object]
"""Raises what is wrong with a request; returns when nothing is."""


def request_check(backend: Backend) -> Check:
    """The ``check`` of a backend; one that refuses nothing if it has none.

    Raises:
        UsageError: the backend has a ``check`` that is no plain function.
    """
    check = getattr(backend, "check", None)
    if check is None:
        return _nothing
    if not callable(check) or iscoroutinefunction(check):
        msg = (
            f"The member check of {type(backend).__name__} must be a plain function "
            f"that takes a Request; got {check!r}. Rename it, or leave it out."
        )
        raise UsageError(msg)

    def checked(request: Request) -> None:
        # What is no request at all is for the kernel to refuse.
        if isinstance(request, Request):
            check(request)

    return checked


def _nothing(request: Request) -> None:
    """Most backends have nothing to say."""
