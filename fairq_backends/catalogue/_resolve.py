"""From what a user names to a file or folder."""

import difflib
from pathlib import Path
from typing import Final

from fairq_backends.catalogue._errors import ModelError
from fairq_backends.catalogue._published import CATALOGUE, Progress

CLOSE: Final = 0.75
"""How alike a name must be to be offered, 0..1: a letter or two, and no other name."""


def resolve(source: str | Path, progress: Progress | None = None) -> Path:
    """The path of a model: one of the catalogue, fetched if need be, or a path.

    A string that is a name in the catalogue means that model, even if a file of that
    name exists; write ``./smollm2`` or pass a ``Path`` for the file.

    Raises:
        ModelError: there is neither, or the model cannot be fetched.
    """
    if isinstance(source, str) and source in CATALOGUE:
        model = CATALOGUE[source]
        return model.path() or model.pull(progress)
    path = Path(source)
    try:
        there = source != "" and path.exists()  # pathlib takes "" for this folder
    except (OSError, ValueError):  # a name too long, or with a null in it
        there = False
    if not there:
        raise ModelError(_unknown(str(source)), path=path)
    return path


def _unknown(given: str) -> str:
    close = difflib.get_close_matches(given.lower(), list(CATALOGUE), n=1, cutoff=CLOSE)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return (
        f"There is no model {given!r}: no such file or folder, and the catalogue has "
        f"{', '.join(CATALOGUE)}.{hint}"
    )
