"""Naming the choices, and the one that was probably meant."""

import difflib
from collections.abc import Sequence


def choices(given: str, known: Sequence[str]) -> str:
    """``expected one of a, b; got 'c'. Did you mean 'b'?``, for a wrong choice."""
    message = f"expected one of {', '.join(known)}; got {given!r}."
    close = difflib.get_close_matches(given, known, n=1)
    return f"{message} Did you mean {close[0]!r}?" if close else message
