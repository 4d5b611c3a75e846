"""Reading GGUF files: metadata, and where the tensors lie. No torch, no weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3,
little-endian. Every length is compared with what is left of the file before anything
of that length is read or made, so a damaged file costs no more than a whole one.
"""

import math
import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

import attrs

from fairq_backends.catalogue import ModelError

MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
STRING: Final = 8
ARRAY: Final = 9
FORMATS: Final = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""Of each scalar type in metadata, as ``struct`` calls it."""

MOST_DIMENSIONS: Final = 4
LENGTH: Final = struct.Struct("<Q")

Value = int | float | bool | str | list[int] | list[float] | list[bool] | list[str]
"""What metadata can be; arrays of arrays are refused."""


@attrs.frozen
class Kind:
    """How numbers are stored in a tensor."""

    name: str
    """As ggml calls it."""

    weights: int
    """Per block."""

    bytes: int
    """Per block."""


KINDS: Final[Mapping[int, Kind]] = {
    0: Kind("F32", 1, 4),
    1: Kind("F16", 1, 2),
    2: Kind("Q4_0", 32, 18),
    3: Kind("Q4_1", 32, 20),
    8: Kind("Q8_0", 32, 34),
    30: Kind("BF16", 1, 2),
}
"""The tensor types that are read."""

NAMES: Final[Mapping[int, str]] = {
    6: "Q5_0",
    7: "Q5_1",
    9: "Q8_1",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    20: "IQ4_NL",
    21: "IQ3_S",
    22: "IQ2_S",
    23: "IQ4_XS",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
}
"""Those that are not, to be refused by name."""


@attrs.frozen
class Stored:
    """A tensor in a file."""

    kind: Kind
    """How its numbers are stored."""

    shape: tuple[int, ...]
    """As numpy and torch have it: the fastest dimension last."""

    start: int
    """Of its first byte in the file."""

    size: int
    """In bytes."""


@attrs.frozen(eq=False)
class GgufFile:
    """A file that is mapped into memory, not read."""

    path: Path
    """Where it is."""

    metadata: Mapping[str, Value]
    """Key to value."""

    tensors: Mapping[str, Stored]
    """Name to place."""

    data: mmap.mmap = attrs.field(repr=False)
    """All of the file."""

    def raw(self, name: str) -> memoryview:
        """The bytes of a tensor, not copied."""
        stored = self.tensors[name]
        return memoryview(self.data)[stored.start : stored.start + stored.size]


def read_gguf(path: Path) -> GgufFile:
    """Opens a file.

    Raises:
        ModelError: it cannot be opened, is no GGUF file, is damaged or cut off, or
            uses a version or a tensor type that is not known.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if head != MAGIC:
                msg = f"{path} is no GGUF file: it begins with {head!r}, not {MAGIC!r}."
                raise ModelError(msg, path=path)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be opened: {error}."
        raise ModelError(msg, path=path) from error
    return _Reader(path, data).file()


class _Reader:
    """Goes through a file from its beginning."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = len(MAGIC)

    def file(self) -> GgufFile:
        version = self._number("I", "the version")
        if version not in VERSIONS:
            self._refuse(f"GGUF version {version} is not read, only 2 and 3")
        tensors = self._number("Q", "the number of tensors")
        keys = self._number("Q", "the number of metadata keys")
        # The smallest key has a length, a type and one byte; the smallest tensor a
        # length, the number of dimensions, one, a type and an offset.
        self._room(13 * keys + 32 * tensors, f"{keys} keys and {tensors} tensors")
        metadata = self._metadata(keys)
        places = self._tensors(tensors, metadata)
        return GgufFile(self._path, metadata, places, self._data)

    # --- metadata ---------------------------------------------------------------------

    def _metadata(self, keys: int) -> dict[str, Value]:
        metadata = dict[str, Value]()
        for number in range(keys):
            key = self._string(f"the name of metadata key {number}")
            if key in metadata:
                self._refuse(f"metadata key {key} occurs twice")
            metadata[key] = self._value(self._number("I", f"the type of {key}"), key)
        return metadata

    def _value(self, kind: int, key: str) -> Value:
        if kind == STRING:
            return self._string(key)
        if kind == ARRAY:
            return self._array(key)
        if kind not in FORMATS:
            self._refuse(f"metadata key {key} has the unknown type {kind}")
        value: int | float | bool
        (value,) = self._unpack("<" + FORMATS[kind], key)
        return value

    def _array(self, key: str) -> Value:
        kind = self._number("I", f"the type of the elements of {key}")
        count = self._number("Q", f"the length of {key}")
        if kind == STRING:
            return self._strings(count, key)
        if kind not in FORMATS:
            self._refuse(f"metadata key {key} is an array of the unknown type {kind}")
        # Before the format is made: its text is checked by struct, not its size.
        self._room(count * struct.calcsize("<" + FORMATS[kind]), key)
        return list(self._unpack(f"<{count}{FORMATS[kind]}", key))

    def _strings(self, count: int, key: str) -> list[str]:
        """Written out, for there are a hundred thousand and more.

        However many are claimed, the file ends sooner: each takes eight bytes.
        """
        data, size, at, texts = self._data, self._size, self._at, list[str]()
        length_at = LENGTH.unpack_from
        try:
            for _ in range(count):
                start = at + 8
                at = start + length_at(data, at)[0]
                if at > size:
                    self._cut(key)
                texts.append(data[start:at].decode())
        except struct.error:
            self._cut(key)
        except UnicodeDecodeError as error:
            self._refuse(f"{key} is not UTF-8: {error}")
        self._at = at
        return texts

    # --- tensors ----------------------------------------------------------------------

    def _tensors(self, count: int, metadata: Mapping[str, Value]) -> dict[str, Stored]:
        found = dict[str, tuple[Kind, tuple[int, ...], int]]()
        for number in range(count):
            name = self._string(f"the name of tensor {number}")
            if name in found:
                self._refuse(f"tensor {name} occurs twice")
            found[name] = self._tensor(name)
        base = _aligned(self._at, self._alignment(metadata))
        return {name: self._place(name, base, *it) for name, it in found.items()}

    def _tensor(self, name: str) -> tuple[Kind, tuple[int, ...], int]:
        dimensions = self._number("I", f"the number of dimensions of {name}")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            self._refuse(f"tensor {name} has {dimensions} dimensions, not 1 to 4")
        shape = self._unpack(f"<{dimensions}Q", f"the shape of {name}")
        code = self._number("I", f"the type of {name}")
        if code not in KINDS:
            self._refuse(
                f"tensor {name} is {NAMES.get(code, f'of the unknown type {code}')}; "
                f"read are {', '.join(kind.name for kind in KINDS.values())}"
            )
        return KINDS[code], shape[::-1], self._number("Q", f"the place of {name}")

    def _place(
        self, name: str, base: int, kind: Kind, shape: tuple[int, ...], offset: int
    ) -> Stored:
        if min(shape) < 1 or shape[-1] % kind.weights:
            self._refuse(f"tensor {name} cannot be {shape} as {kind.name}")
        size = math.prod(shape) // kind.weights * kind.bytes
        start = base + offset
        if start + size > self._size:
            self._refuse(
                f"the file is cut off or damaged: tensor {name} should end at byte "
                f"{start + size:,}, and the file has {self._size:,}"
            )
        return Stored(kind, shape, start, size)

    def _alignment(self, metadata: Mapping[str, Value]) -> int:
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            self._refuse(f"general.alignment cannot be {alignment!r}")
        return alignment

    # --- bytes ------------------------------------------------------------------------

    def _string(self, what: str) -> str:
        length = self._number("Q", f"the length of {what}")
        self._room(length, what)
        start, self._at = self._at, self._at + length
        try:
            return self._data[start : self._at].decode()
        except UnicodeDecodeError as error:
            self._refuse(f"{what} is not UTF-8: {error}")

    def _number(self, code: str, what: str) -> int:
        value: int
        (value,) = self._unpack("<" + code, what)
        return value

    def _unpack(self, layout: str, what: str) -> tuple[int, ...]:
        try:
            values = struct.unpack_from(layout, self._data, self._at)
        except struct.error:
            self._cut(what)
        self._at += struct.calcsize(layout)
        return values

    def _room(self, needed: int, what: str) -> None:
        if needed > self._size - self._at:
            self._cut(what)

    def _cut(self, what: str) -> NoReturn:
        self._refuse(
            f"the file is cut off or damaged: it has {self._size:,} bytes, and at "
            f"byte {self._at:,} too few are left for {what}"
        )

    def _refuse(self, message: str) -> NoReturn:
        text = f"{self._path}: {message}."
        raise ModelError(text, path=self._path)


def _aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
