"""Checks of constructor arguments; one shape for every message.

Each message reads ``Class.field must be <expected>; got <value>.`` so that a wrong
value fails where it was written and says what a right one looks like.
"""

import math
from collections.abc import Callable
from typing import Any

import attrs

from fairq.errors import UsageError

# attrs calls a validator with the half-built instance, whose type it cannot know.
type_of_instance = Any
Validator = Callable[[type_of_instance, "attrs.Attribute[Any]", Any], None]


def fail(
    instance: object, attribute: "attrs.Attribute[Any]", value: object, expected: str
) -> None:
    """Raise the one message that every check of this module raises."""
    name = f"{type(instance).__name__}.{attribute.name}"
    msg = f"{name} must be {expected}; got {value!r}."
    raise UsageError(msg)


def is_integer(value: object) -> bool:
    """Whether a value is an integer; True and False are not meant as numbers."""
    return isinstance(value, int) and not isinstance(value, bool)


def integer(minimum: int, unit: str) -> Validator:
    """Check for an integer of at least ``minimum``, named with its unit."""

    def check(
        instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: object
    ) -> None:
        if not is_integer(value) or value < minimum:  # type: ignore[operator]  # is_integer proves it, but cannot tell mypy for object
            fail(instance, attribute, value, f"an integer >= {minimum} ({unit})")

    return check


def optional_integer(minimum: int, unit: str) -> Validator:
    """Check for None or an integer of at least ``minimum``."""

    def check(
        instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: object
    ) -> None:
        if value is not None and (
            not is_integer(value) or value < minimum  # type: ignore[operator]  # as above
        ):
            expected = f"None or an integer >= {minimum} ({unit})"
            fail(instance, attribute, value, expected)

    return check


def is_finite(value: object) -> bool:
    """Whether a value is a finite number; True and False are not meant as numbers."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def number(minimum: float, unit: str, *, exclusive: bool = False) -> Validator:
    """Check for a finite number, at least (or, exclusive, above) ``minimum``."""
    sign = ">" if exclusive else ">="

    def check(
        instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: float
    ) -> None:
        if not is_finite(value) or value < minimum or (exclusive and value == minimum):
            expected = f"a finite number {sign} {minimum:g} ({unit})"
            fail(instance, attribute, value, expected)

    return check


def is_text(value: object) -> bool:
    """Whether a value is a string that is not empty."""
    return isinstance(value, str) and bool(value)


def instance_of(kind: type) -> Validator:
    """Check for an instance of a class."""

    def check(
        instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: object
    ) -> None:
        if not isinstance(value, kind):
            fail(instance, attribute, value, f"a fairq.{kind.__name__}")

    return check


def text(
    instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: object
) -> None:
    """Check for a string that is not empty."""
    if not is_text(value):
        fail(instance, attribute, value, "a string that is not empty")


def optional_text(
    instance: type_of_instance, attribute: "attrs.Attribute[Any]", value: object
) -> None:
    """Check for None or a string that is not empty."""
    if value is not None and not is_text(value):
        fail(instance, attribute, value, "None or a string that is not empty")


def check_type(value: object, kind: type, what: str) -> None:
    """Refuse an argument of the wrong type where it enters.

    Raises:
        UsageError: ``value`` is not a ``kind``; ``what`` names the argument.
    """
    if not isinstance(value, kind):
        msg = f"{what} must be a {kind.__name__}; got {type(value).__name__}."
        raise UsageError(msg)
