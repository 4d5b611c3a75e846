"""Files with a JSON object per line, read strictly, as ``_table`` reads CSV."""

import json
from collections.abc import Collection, Iterator
from typing import NoReturn

import attrs

from fairq._validators import is_finite, is_integer
from fairq.errors import TraceError


@attrs.frozen
class Line:
    """One object of a file, and where it stands."""

    file: str
    number: int
    values: dict[str, object]
    where: str = ""
    """Prefix of its keys in messages, for an object inside another one."""

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise the error for one value.

        Raises:
            TraceError: always.
        """
        got = repr(self.values[key])
        msg = f"expected {expected}; got {got if len(got) <= 80 else got[:77] + '...'}."  # noqa: PLR2004  # fits a line
        column = self.where + key
        raise TraceError(msg, file=self.file, line=self.number, column=column)

    def check_keys(self, keys: Collection[str], optional: Collection[str] = ()) -> None:
        """Refuse an object that lacks a key, or has one that nobody knows."""
        for key in keys:
            if key not in self.values:
                msg = f"expected this key; got only {', '.join(self.values)}."
                column = self.where + key
                raise TraceError(msg, file=self.file, line=self.number, column=column)
        for key in self.values:
            if key not in keys and key not in optional:
                self.fail(key, f"only the keys {', '.join([*keys, *optional])}")

    def number_of(self, key: str, unit: str) -> float:
        """A finite number, at least 0."""
        value = self.values[key]
        if not isinstance(value, int | float) or not is_finite(value) or value < 0:
            self.fail(key, f"a finite number of {unit} >= 0")
        return float(value)

    def whole(self, key: str, least: int, what: str) -> int:
        """A whole number of something, at least ``least``."""
        value = self.values[key]
        if not isinstance(value, int) or not is_integer(value) or value < least:
            self.fail(key, f"a whole number of {what} >= {least}")
        return value

    def inner(self, key: str) -> "Iterator[Line]":
        """The objects of a list, each with its place in its name."""
        value = self.values[key]
        if not isinstance(value, list):
            self.fail(key, "a list of objects")
        for place, each in enumerate(value):
            yield self.object(each, f"{key}[{place}]")

    def object(self, value: object, name: str) -> "Line":
        """A value inside this one, as an object of its own."""
        column = self.where + name
        if not isinstance(value, dict):
            msg = f"expected an object; got {str(value)[:40]!r}."
            raise TraceError(msg, file=self.file, line=self.number, column=column)
        return Line(self.file, self.number, value, f"{column}.")


def read_lines(text: str, file: str) -> Iterator[Line]:
    """The objects of a file, one by one.

    Raises:
        TraceError: a line is no JSON object; the message names it.
    """
    for number, raw in enumerate(text.removesuffix("\n").split("\n"), start=1):
        yield Line(file, number, _object(raw, file, number))


def _object(raw: str, file: str, number: int) -> dict[str, object]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        msg = f"expected a JSON object; got {raw[:40]!r} ({error})."
        raise TraceError(msg, file=file, line=number) from None
    if not isinstance(value, dict):
        msg = f"expected a JSON object; got {raw[:40]!r}."
        raise TraceError(msg, file=file, line=number)
    return value
