"""What full blocks hold: the text up to their end, and not only their own tokens."""

from collections.abc import Iterable, Sequence
from typing import Final

from fairq.plan import BlockId

NOTHING: Final = 0
"""The number of the text before the first block."""


class Contents:
    """The full blocks of a pool, each with the number of what it holds.

    A text of whole blocks gets its number when it is seen first, from the number of
    what is before its last block and the tokens of that. So two blocks hold the same
    exactly if their numbers are equal, and no text is compared twice.

    Args:
        block_size: Tokens per block.
    """

    def __init__(self, block_size: int) -> None:
        self._size = block_size
        self._numbers: dict[tuple[int, tuple[int, ...]], int] = {}
        self._held: dict[BlockId, int] = {}

    def claim(self, blocks: Iterable[BlockId]) -> None:
        """These are written anew: what they held is lost."""
        for block in blocks:
            self._held.pop(block, None)

    def fill(self, block: BlockId, before: int, tokens: Sequence[int]) -> int:
        """A block is full; the number of what it holds. O(block size).

        Args:
            block: Which.
            before: The number of what is before it, or ``NOTHING``.
            tokens: Its own.
        """
        text = before, tuple(tokens)
        number = self._numbers.setdefault(text, len(self._numbers) + 1)
        self._held[block] = number
        return number

    def follow(self, blocks: Iterable[BlockId], tokens: Sequence[int]) -> list[int]:
        """What blocks hold, as far as it is this text. O(tokens)."""
        found: list[int] = []
        for index, block in enumerate(blocks):
            own = tuple(tokens[index * self._size : (index + 1) * self._size])
            number = self._numbers.get((found[-1] if found else NOTHING, own))
            if number is None or self._held.get(block) != number:
                break
            found.append(number)
        return found
