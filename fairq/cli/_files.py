"""Files that a command writes: checked before it computes, written at its end."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from fairq.errors import UsageError


def check_file(option: str, path: Path | None) -> None:
    """Refuse a path that could not be written; None is fine.

    Raises:
        UsageError: its folder does not exist or is closed to us, or it is a folder.
    """
    if path is None:
        return
    _check_folder(option, path.parent)
    if path.is_dir():
        msg = f"{option}: expected a file name, got the folder {str(path)!r}."
        raise UsageError(msg)


def check_new_folder(option: str, path: Path | None) -> None:
    """Refuse a folder that could not be made or written to; None is fine.

    Raises:
        UsageError: it is a file, or the folder it would be in does not exist.
    """
    if path is not None:
        _check_folder(option, path if path.exists() else path.parent)


def _check_folder(option: str, folder: Path) -> None:
    if not folder.exists():
        msg = f"{option}: there is no folder {str(folder)!r}. Create it first."
        raise UsageError(msg)
    if not folder.is_dir():
        msg = f"{option}: expected a folder, got the file {str(folder)!r}."
        raise UsageError(msg)
    if not os.access(folder, os.W_OK):
        msg = f"{option}: the folder {str(folder)!r} is not writable."
        raise UsageError(msg)


def write_json(path: Path, report: Mapping[str, object]) -> None:
    """Write a report, two spaces a level, with a newline at its end."""
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
