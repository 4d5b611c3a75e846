"""What a sequence says: a pure function of its prompt and the position.

Neither the batch nor the slot, the request's id, a preemption or a seed comes into it,
so that whoever knows the prompt knows every token that must arrive.
"""

from typing import Final
from zlib import crc32

from fairq import TokenIds

VOCABULARY: Final = 32_000
"""Tokens are 0 .. VOCABULARY - 1."""

STRIDE: Final = 19_777
"""From one position to the next. Coprime to VOCABULARY: no early repetition."""


def token_key(prompt: TokenIds) -> int:
    """What the tokens after this prompt depend on. O(prompt), at C speed."""
    return crc32(prompt.raw) % VOCABULARY


def token_at(key: int, position: int) -> int:
    """The token at a position of the sequence; the first output is at len(prompt)."""
    return (key + STRIDE * position) % VOCABULARY
