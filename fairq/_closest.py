"""What somebody probably meant who gave a name that does not exist."""

import difflib
from collections.abc import Iterable


def closest(given: object, known: Iterable[str]) -> str | None:
    """The known name that is most like the given one; None when none is."""
    # Anything may come in as a name; difflib takes strings only.
    matches = difflib.get_close_matches(str(given), list(known), n=1)
    return matches[0] if matches else None


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """`` Did you mean 'that'?``, to end a message with; empty when nothing is close."""
    match = closest(given, known)
    return "" if match is None else f" Did you mean {match!r}?"
