"""JSON files of a model's folder."""

import json
from pathlib import Path
from typing import Final

from fairq_backends.catalogue import ModelError
from fairq_backends.llama._fields import Fields

MOST_BYTES: Final = 64 << 20
"""A config is a few kilobytes; what is larger was not meant."""


def read_json(path: Path) -> Fields:
    """A JSON object.

    Raises:
        ModelError: there is no such file, or it holds anything else.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            msg = f"{path} has {size:,} bytes; expected a small JSON file."
            raise ModelError(msg, path=path)
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read: {error}."
        raise ModelError(msg, path=path) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not JSON: {error}."
        raise ModelError(msg, path=path) from error
    if not isinstance(values, dict):
        msg = f"{path} should hold a JSON object, and holds a {type(values).__name__}."
        raise ModelError(msg, path=path)
    return Fields(path, values)


def read_json_if_there(path: Path) -> Fields:
    """As ``read_json``; an empty object when there is no such file."""
    return read_json(path) if path.exists() else Fields(path, {})
