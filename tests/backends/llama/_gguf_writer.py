"""Writes GGUF files for tests: the format from the other side, value by value."""

import struct
from collections.abc import Mapping
from pathlib import Path

import attrs

STRING, ARRAY = 8, 9
F32, F16, Q4_0, Q4_1, Q8_0, BF16 = 0, 1, 2, 3, 8, 30


@attrs.frozen
class Stored:
    """A tensor to be written: its type in ggml, its shape as in numpy, its bytes."""

    kind: int
    shape: tuple[int, ...]
    data: bytes


@attrs.frozen
class Typed:
    """A scalar whose type in the file is not the one that is usual for it."""

    kind: int
    layout: str
    value: object


def gguf(
    metadata: Mapping[str, object],
    tensors: Mapping[str, Stored],
    *,
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """The bytes of a file."""
    parts = [b"GGUF", struct.pack("<IQQ", version, len(tensors), len(metadata))]
    parts += [string(key) + value(it) for key, it in metadata.items()]
    offset = 0
    for name, stored in tensors.items():
        shape = stored.shape[::-1]  # the fastest dimension first
        parts.append(string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        parts.append(struct.pack("<IQ", stored.kind, offset))
        offset += padded(len(stored.data), alignment)
    head = b"".join(parts)
    data = [
        stored.data.ljust(padded(len(stored.data), alignment), b"\0")
        for stored in tensors.values()
    ]
    return head.ljust(padded(len(head), alignment), b"\0") + b"".join(data)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def padded(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(it: object) -> bytes:
    match it:
        case Typed():
            return struct.pack("<I" + it.layout, it.kind, it.value)
        case bool():
            return struct.pack("<I?", 7, it)
        case int():
            return struct.pack("<II", 4, it)
        case float():
            return struct.pack("<If", 6, it)
        case str():
            return struct.pack("<I", STRING) + string(it)
        case list():
            return array(it)
        case _:
            raise TypeError(it)


def array(items: list[object]) -> bytes:
    if all(isinstance(it, str) for it in items):
        texts = b"".join(string(str(it)) for it in items)
        return struct.pack("<IIQ", ARRAY, STRING, len(items)) + texts
    return struct.pack(f"<IIQ{len(items)}i", ARRAY, 5, len(items), *items)
