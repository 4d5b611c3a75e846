"""What a prompt consists of, so that prompts can begin alike.

A trace holds no text. It says which pieces a prompt is made of: pieces with the same id
are the same tokens. A piece is laid out as copies of one token, its id, which takes a
few calls in C; a scheduler compares tokens and never reads them.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from fairq._validators import integer
from fairq.errors import UsageError

LARGEST_ID: Final = 2**30
"""Ids of pieces are below this; the tokens of what is like nothing else are above."""


@attrs.frozen
class Span:
    """Pieces of a prompt, with the ids ``first``, ``first + 1``, ... in this order.

    Raises:
        UsageError: a field is out of its bounds, or the last id is 2**30 or larger.
    """

    first: int = attrs.field(validator=integer(0, "id"))
    """Id of the first piece, >= 0."""
    count: int = attrs.field(validator=integer(1, "pieces"))
    tokens: int = attrs.field(validator=integer(1, "tokens"))
    """Length of each piece."""

    def __attrs_post_init__(self) -> None:
        if self.end > LARGEST_ID:
            msg = f"Span: expected ids below 2**30; got {self!r}."
            raise UsageError(msg)

    @property
    def end(self) -> int:
        """The id after that of the last piece."""
        return self.first + self.count

    @property
    def length(self) -> int:
        """Tokens of all pieces."""
        return self.count * self.tokens

    def shifted(self, offset: int) -> "Span":
        """The same with other ids."""
        return Span(self.first + offset, self.count, self.tokens)

    def packed(self) -> bytes:
        """Its tokens as native int32. Costs O(length), in C."""
        ids = array("i", range(self.first, self.end))
        if self.count < self.tokens:
            return b"".join(array("i", [one]).tobytes() * self.tokens for one in ids)
        laid = array("i", bytes(ids.itemsize * self.length))
        for place in range(self.tokens):
            laid[place :: self.tokens] = ids
        return laid.tobytes()


def spans(ids: Iterable[int], tokens: int) -> Iterator[Span]:
    """Pieces of equal length as few spans: ids that follow one another become one."""
    first = end = -1
    for one in ids:
        if one != end:
            if end >= 0:
                yield Span(first, end - first, tokens)
            first = one
        end = one + 1
    if end >= 0:
        yield Span(first, end - first, tokens)


def cut(content: Sequence[Span], pieces: int) -> Iterator[Span]:
    """The first pieces of some spans; those that stay whole are the same objects."""
    for span in content:
        if pieces <= 0:
            return
        yield span if span.count <= pieces else attrs.evolve(span, count=pieces)
        pieces -= span.count


def lay_out(content: Sequence[Span], length: int, mark: int) -> bytes:
    """A prompt of so many tokens: its content, and then what no other prompt has.

    Args:
        content: At most that many tokens.
        length: Of the prompt.
        mark: A token that stands in no other prompt.
    """
    parts = [span.packed() for span in content]
    rest = length - sum(span.length for span in content)
    if rest:
        # Once is enough: what follows a token that is like no other is not alike.
        parts += [array("i", [mark]).tobytes(), bytes(4 * (rest - 1))]
    return b"".join(parts)
