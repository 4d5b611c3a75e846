"""Reading and writing text files, gzipped or not, with errors that name the file."""

import gzip
import zlib
from pathlib import Path
from typing import Final

from fairq.errors import TraceError

GZIP_MAGIC: Final = b"\x1f\x8b"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def read_text(path: str | Path) -> str:
    """The text of a file; gzip is recognised by its first bytes, not by its name.

    Raises:
        TraceError: it cannot be opened, is broken gzip, is empty, starts with a byte
            order mark, or is not UTF-8.
    """
    file = str(path)
    return decode(_unzip(_read(path, file), file), file)


def decode(data: bytes, file: str) -> str:
    """Bytes as text.

    Raises:
        TraceError: see ``read_text``.
    """
    if not data:
        msg = "expected a header or a JSON line; the file is empty."
        raise TraceError(msg, file=file)
    if data.startswith(BYTE_ORDER_MARK):
        msg = "expected UTF-8 without a byte order mark; save it as plain UTF-8."
        raise TraceError(msg, file=file, line=1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        msg = f"expected UTF-8 text; got the byte 0x{data[error.start]:02x}."
        raise TraceError(msg, file=file, line=line) from None


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8; gzipped when the name ends in ``.gz``. Same text, same bytes."""
    data = text.encode("utf-8")
    # mtime=0 keeps the clock out of the file.
    packed = gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data
    Path(path).write_bytes(packed)


def stem(path: str | Path) -> str:
    """The name of a file without its folder and without any extension."""
    name = Path(path).name
    return name.split(".")[0] or name


def _read(path: str | Path, file: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        msg = f"expected a file that can be read; got {error.strerror or error}."
        raise TraceError(msg, file=file) from None


def _unzip(data: bytes, file: str) -> bytes:
    if not data.startswith(GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        msg = f"expected a whole gzip file; got a broken one ({error})."
        raise TraceError(msg, file=file) from None
