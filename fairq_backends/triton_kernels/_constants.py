"""The order of additions that every schedule keeps.

Attention of a row is a left fold, in the order of positions, over segments of
``SEGMENT`` keys that begin at position 0, 256, ...; a segment is an online softmax over
tiles of ``TILE`` keys. These numbers decide the bits of the result, so they are
constants of a deployment, never a matter of batch, length or device load. How many rows
a program takes, and whether segments are computed in one program or in many, is free.
"""

from typing import Final

__all__ = ["PROGRAM_ROWS", "SEGMENT", "TILE", "TILE_FLOAT32"]

SEGMENT: Final = 256
"""Keys of a segment: 16 blocks of 16. A multiple of ``TILE``."""

TILE: Final = 64
"""Keys of one step of the online softmax, in types of 16 bits."""

TILE_FLOAT32: Final = 16
"""The same in float32, which has no tensor cores here: more do not fit in registers."""

PROGRAM_ROWS: Final = (16, 64, 128)
"""How many rows (tokens * G) a program of attention may take."""
