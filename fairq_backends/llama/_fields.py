"""Taking values out of metadata and JSON: the right type, or a message that says so."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import attrs

from fairq_backends.catalogue import ModelError


@attrs.frozen
class Fields:
    """A mapping that came from a file, with values nobody has checked."""

    path: Path
    """The file, for messages."""

    values: Mapping[str, object]
    """Key to value."""

    def refuse(self, message: str) -> NoReturn:
        """Raises a ``ModelError`` that names the file."""
        text = f"{self.path}: {message}."
        raise ModelError(text, path=self.path)

    def whole(self, key: str, default: int | None = None) -> int:
        """A whole number; required without a default. ``null`` counts as absent."""
        value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            self.refuse(f"{key} should be a whole number, and is {_shown(value)}")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Any number."""
        value = self._value(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            self.refuse(f"{key} should be a number, and is {_shown(value)}")
        try:
            return float(value)
        except OverflowError:
            self.refuse(f"{key} is too large: {_shown(value)}")

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value = self._value(key, default)
        if not isinstance(value, str):
            self.refuse(f"{key} should be a text, and is {_shown(value)}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._value(key, default)
        if not isinstance(value, bool):
            self.refuse(f"{key} should be true or false, and is {_shown(value)}")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of strings."""
        value = self._value(key, None)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.refuse(f"{key} should be a list of texts, and is {_shown(value)}")
        return value

    def ids(self, key: str) -> tuple[int, ...]:
        """Token ids: one, a list of them, or none at all."""
        value = self.values.get(key)
        listed = value if isinstance(value, list) else [value]
        if value is None:
            return ()
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in listed):
            self.refuse(f"{key} should be token ids, and is {_shown(value)}")
        return tuple(listed)

    def inside(self, key: str) -> "Fields | None":
        """An object within; None when it is absent or null."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.refuse(f"{key} should be an object, and is {_shown(value)}")
        return Fields(self.path, value)

    def _value(self, key: str, default: object) -> object:
        value = self.values.get(key)
        if value is not None:
            return value
        if default is None:
            self.refuse(f"{key} is missing")
        return default


def _shown(value: object) -> str:
    # Metadata may be a list of a hundred thousand texts.
    return reprlib.repr(value)
