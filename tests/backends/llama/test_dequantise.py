"""Each stored type against code that takes one weight at a time."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairq_backends.llama._dequantise import READERS, dequantise


def half(data: bytes) -> float:
    value: float
    (value,) = struct.unpack("<e", data)
    return value


def single(value: float) -> float:
    """Rounded to fp32, as each product and sum is."""
    return float(np.float32(value))


def one_by_one(kind: str, block: bytes) -> list[float]:
    """The weights of one block."""
    match kind:
        case "F32":
            return list(struct.unpack("<f", block))
        case "F16":
            return [half(block)]
        case "BF16":
            return list(struct.unpack("<f", b"\0\0" + block))
        case "Q8_0":
            scale = half(block[:2])
            return [single(scale * w) for w in struct.unpack("<32b", block[2:])]
        case "Q4_0":
            scale = half(block[:2])
            return [single(scale * (w - 8)) for w in nibbles(block[2:])]
        case _:
            scale, least = half(block[:2]), half(block[2:4])
            return [single(single(scale * w) + least) for w in nibbles(block[4:])]


def nibbles(data: bytes) -> list[int]:
    return [byte % 16 for byte in data] + [byte // 16 for byte in data]


SIZES = {"F32": 4, "F16": 2, "BF16": 2, "Q8_0": 34, "Q4_0": 18, "Q4_1": 20}


def test_every_type_is_compared() -> None:
    assert set(READERS) == set(SIZES)


@pytest.mark.parametrize("kind", SIZES)
@given(data=st.data())
def test_a_tensor_is_its_blocks_one_after_another(
    kind: str, data: st.DataObject
) -> None:
    block = st.binary(min_size=SIZES[kind], max_size=SIZES[kind])
    blocks = data.draw(st.lists(block, min_size=1, max_size=5))
    expected = [weight for each in blocks for weight in one_by_one(kind, each)]
    actual = dequantise(kind, memoryview(b"".join(blocks)))
    np.testing.assert_array_equal(np.array(expected, dtype=np.float32), actual)


@pytest.mark.parametrize("kind", SIZES)
def test_the_result_is_a_copy_that_can_be_written(kind: str) -> None:
    numbers = dequantise(kind, memoryview(bytes(SIZES[kind] * 4)))
    assert numbers.flags.writeable and numbers.flags.c_contiguous
