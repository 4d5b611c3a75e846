"""Writing to stdout piece by piece, while the rest is still being made."""

import sys
from typing import Protocol

from fairq.cli._text import TextStream


class Writer(Protocol):
    """Takes tokens, one at a time."""

    @property
    def text(self) -> str | None:
        """All text so far; None for a writer that knows none."""
        ...

    def push(self, token: int, /) -> None:
        """Write what this token adds."""
        ...

    def end(self) -> None:
        """Write what was held back, and end the line; nothing if there was no token."""
        ...


class TextWriter:
    """Writes the text of tokens."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._pieces = list[str]()  # one for each token

    @property
    def text(self) -> str | None:
        """All text so far."""
        return "".join(self._pieces)

    def push(self, token: int, /) -> None:
        self._add(self._stream.push(token))

    def end(self) -> None:
        if self._pieces:
            self._add(self._stream.end())
            put("\n")

    def _add(self, piece: str) -> None:
        self._pieces.append(piece)
        put(piece)


class IdWriter:
    """Writes token ids, as ``--prompt-ids`` takes them."""

    text: None = None

    def __init__(self) -> None:
        self._between = ""

    def push(self, token: int, /) -> None:
        put(f"{self._between}{token}")
        self._between = ","

    def end(self) -> None:
        if self._between:
            put("\n")


def put(text: str) -> None:
    """Write to stdout now; what its encoding lacks becomes a question mark."""
    if text:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
