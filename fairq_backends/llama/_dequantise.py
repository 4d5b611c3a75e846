"""From stored bytes to numbers, with numpy.

Layouts: ggml's ``block_q4_0``, ``block_q4_1`` and ``block_q8_0``. Blocks of 32 weights
have a scale in fp16; of the two weights in a byte, the lower four bits belong to the
first half of the block.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float16]

Q4_0: Final = np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
Q4_1: Final = np.dtype([("scale", "<f2"), ("least", "<f2"), ("nibbles", "u1", 16)])
Q8_0: Final = np.dtype([("scale", "<f2"), ("weights", "i1", 32)])


def dequantise(kind: str, raw: memoryview) -> Floats:
    """All numbers of a tensor in one row: fp32, or fp16 where they are stored so.

    The result is exact: every stored number is one of fp32. It is always a copy, so
    nothing points into the file afterwards.
    """
    # A damaged file may hold infinities; what follows from them is no error here.
    with np.errstate(all="ignore"):
        return READERS[kind](raw)


def _f32(raw: memoryview) -> Floats:
    return np.frombuffer(raw, dtype="<f4").astype(np.float32)


def _f16(raw: memoryview) -> Floats:
    return np.frombuffer(raw, dtype="<f2").astype(np.float16)


def _bf16(raw: memoryview) -> Floats:
    # bf16 is the upper half of fp32.
    upper = np.frombuffer(raw, dtype="<u2").astype(np.uint32)
    return (upper << 16).view(np.float32)


def _q4_0(raw: memoryview) -> Floats:
    blocks = np.frombuffer(raw, dtype=Q4_0)
    numbers = _nibbles(blocks)
    numbers -= 8
    numbers *= _column(blocks, "scale")
    return numbers.reshape(-1)


def _q4_1(raw: memoryview) -> Floats:
    blocks = np.frombuffer(raw, dtype=Q4_1)
    numbers = _nibbles(blocks)
    numbers *= _column(blocks, "scale")
    numbers += _column(blocks, "least")
    return numbers.reshape(-1)


def _q8_0(raw: memoryview) -> Floats:
    blocks = np.frombuffer(raw, dtype=Q8_0)
    numbers: NDArray[np.float32] = blocks["weights"].astype(np.float32)
    numbers *= _column(blocks, "scale")
    return numbers.reshape(-1)


def _nibbles(blocks: NDArray[Any]) -> NDArray[np.float32]:
    packed = blocks["nibbles"]
    numbers = np.empty((len(blocks), 32), dtype=np.float32)
    numbers[:, :16] = packed & 15
    numbers[:, 16:] = packed >> 4
    return numbers


def _column(blocks: NDArray[Any], name: str) -> NDArray[np.float32]:
    column: NDArray[np.float32] = blocks[name].astype(np.float32)
    return column[:, None]


READERS: Final[Mapping[str, Callable[[memoryview], Floats]]] = {
    "F32": _f32,
    "F16": _f16,
    "BF16": _bf16,
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q8_0": _q8_0,
}
