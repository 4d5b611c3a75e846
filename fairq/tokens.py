"""Token ids, packed: what a prompt is made of, at four bytes a token.

A scheduler copies, slices, compares and hashes prompts; it never looks at a single
token. Packed in one ``bytes`` object each of those is one C call, and a prompt of
a thousand tokens costs 4 kB and not 36.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, overload

from fairq.errors import UsageError

__all__ = ["TokenIds"]

_BYTES: Final = 4
_SIGN_BYTE: Final = 3 if sys.byteorder == "little" else 0


class TokenIds(Sequence[int]):
    """An immutable sequence of token ids, each 0 <= id < 2**31.

    Hashable, equal to a ``TokenIds`` with the same ids and to nothing else; a slice of
    it is a ``TokenIds`` again. ``raw`` is the packed form: native int32, one after
    another.

    Args:
        ids: The token ids; another ``TokenIds`` is shared and not copied.

    Raises:
        UsageError: an id is not an integer, is negative, or does not fit in int32.
    """

    __slots__ = ("raw",)

    raw: bytes

    def __init__(self, ids: Iterable[int]) -> None:
        self.raw = ids.raw if isinstance(ids, TokenIds) else pack(ids)

    @classmethod
    def from_raw(cls, raw: bytes) -> "TokenIds":
        """Wrap bytes that are known to be packed, non-negative int32."""
        self = cls.__new__(cls)
        self.raw = raw
        return self

    @property
    def view(self) -> memoryview:
        """The ids as a read-only buffer of int32 (format ``i``), without a copy."""
        return memoryview(self.raw).cast("i")

    def __len__(self) -> int:
        return len(self.raw) // _BYTES

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> "TokenIds": ...
    def __getitem__(self, index: int | slice) -> "int | TokenIds":
        if isinstance(index, slice):
            start, stop, stride = index.indices(len(self))
            if stride == 1:
                return TokenIds.from_raw(self.raw[start * _BYTES : stop * _BYTES])
            return TokenIds.from_raw(self.view[index].tobytes())
        item: int = self.view[index]
        return item

    def __iter__(self) -> Iterator[int]:
        return iter(self.view)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TokenIds):
            return self.raw == other.raw
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        if len(self) <= 8:  # noqa: PLR2004  # what fits on a line
            return f"TokenIds({self.view.tolist()})"
        head = ", ".join(map(str, self.view[:6]))
        return f"TokenIds([{head}, ...], {len(self)} tokens)"

    def __reduce__(self) -> tuple[object, ...]:
        return (TokenIds.from_raw, (self.raw,))


def pack(ids: Iterable[int]) -> bytes:
    """Pack token ids as native int32.

    Raises:
        UsageError: an id is not an integer, is negative, or does not fit in int32.
    """
    if isinstance(ids, str | bytes):
        # Both are iterables that array() would read as something else.
        msg = f"Token ids must be integers; got {type(ids).__name__}."
        raise UsageError(msg)
    try:
        # Through a list: array() takes it in one pass, any other iterable one by one.
        raw = array("i", list(ids)).tobytes()
    except (TypeError, OverflowError) as error:
        msg = f"Token ids must be integers in 0..2**31-1: {error}."
        raise UsageError(msg) from None
    # The sign bit of an int32 is the high bit of its last byte: one C call over
    # those bytes finds a negative id 20 times faster than min() over the ids.
    if not raw[_SIGN_BYTE::_BYTES].isascii():
        negative = next(id_ for id_ in array("i", raw) if id_ < 0)
        msg = f"Token ids must be integers in 0..2**31-1; got {negative}."
        raise UsageError(msg)
    return raw
