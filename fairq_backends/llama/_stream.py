"""Text from tokens that come one at a time.

A token may end inside a character, and some decoders treat the first token of a text
differently. So a few ids are decoded together, and only what is new and whole is given:
the method of vLLM's and TGI's detokenizers, with a bound on what is held back.
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
"""What a decoder puts for bytes that are no character, or not yet one."""

MOST_HELD: Final = 64
"""Ids that may be held back; bytes that never become a character end it there."""


class TextStream:
    """Made by ``Tokenizer.text_stream``, for one text.

    What ``push`` and ``end`` gave, put together, is what ``decode`` makes of all ids.
    """

    def __init__(
        self, decode: Callable[[Sequence[int]], str], specials: AbstractSet[int]
    ) -> None:
        self._decode = decode
        self._specials = specials
        self._ids = list[int]()  # since the boundary before the last
        self._boundary = 0  # ids up to here ended in a whole character
        self._given = 0  # characters of the decoded ids that were given

    def push(self, token: int) -> str:
        """The text that became whole with this token; often empty. O(1) mostly."""
        if token in self._specials:
            return ""
        self._ids.append(token)
        text = self._decode(self._ids)
        whole = text.rstrip(REPLACEMENT)
        if whole != text and len(self._ids) < MOST_HELD:
            return self._give(whole)
        new = self._give(text)
        del self._ids[: self._boundary]
        self._boundary = len(self._ids)
        self._given = len(self._decode(self._ids))
        return new

    def end(self) -> str:
        """What was held back: half a character, as U+FFFD. The stream starts anew."""
        rest = self._give(self._decode(self._ids))
        self._ids, self._boundary, self._given = [], 0, 0
        return rest

    def _give(self, text: str) -> str:
        new = text[self._given :]
        self._given = max(self._given, len(text))
        return new
