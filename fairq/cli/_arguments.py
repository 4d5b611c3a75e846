"""Arguments as values: each function takes the text that the user typed.

argparse shows the message of an ``ArgumentTypeError`` after the name of the option,
so a message here says only what was expected and what came.
"""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fairq._closest import did_you_mean
from fairq.cli._policies import FORMS, KINDS, Choice, choice

EXACT: Final = "exact"
LARGEST_ID: Final = 2**31 - 1


def whole(minimum: int, unit: str) -> Callable[[str], int]:
    """A whole number of at least ``minimum``."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            msg = f"expected a whole number >= {minimum} ({unit}), got {text!r}."
            raise ArgumentTypeError(msg)
        return value

    return parse


def number(minimum: float, *, exclusive: bool = False) -> Callable[[str], float]:
    """A finite number of at least (or, exclusive, above) ``minimum``."""

    def parse(text: str) -> float:
        value = _float(text)
        below = value <= minimum if exclusive else value < minimum
        if below or not math.isfinite(value):
            sign = ">" if exclusive else ">="
            msg = f"expected a number {sign} {minimum:g}, got {text!r}."
            raise ArgumentTypeError(msg)
        return value

    return parse


def probability(text: str) -> float:
    """A number from 0 to 1."""
    value = _float(text)
    if not 0 <= value <= 1:
        msg = f"expected a number from 0 to 1, got {text!r}."
        raise ArgumentTypeError(msg)
    return value


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def weights(text: str) -> dict[str, float]:
    """``a=1,b=4``: a weight for each tenant that is named."""
    result: dict[str, float] = {}
    for part in text.split(","):
        tenant, weight = _weight(part)
        if tenant in result:
            msg = f"expected each tenant once, got {tenant!r} twice."
            raise ArgumentTypeError(msg)
        result[tenant] = weight
    return result


def _weight(part: str) -> tuple[str, float]:
    # From the right: a tenant may have '=' in its name, a number may not.
    tenant, _, weight = part.rpartition("=")
    value = _float(weight)
    if not tenant or not (math.isfinite(value) and value > 0):
        msg = f"expected TENANT=WEIGHT,... with weights > 0, got {part!r}."
        raise ArgumentTypeError(msg)
    return tenant, value


def max_tokens(text: str) -> int | None:
    """``exact`` (None: what each request really produces) or a whole number."""
    if text == EXACT:
        return None
    try:
        return whole(1, "tokens")(text)
    except ArgumentTypeError:
        msg = f"expected {EXACT!r} or a whole number >= 1 (tokens), got {text!r}."
        raise ArgumentTypeError(msg) from None


def policy(text: str) -> Choice:
    """The name of a policy, such as ``vtc`` or ``gate:2000``."""
    found = choice(text)
    if found is None:
        expected = f"expected one of {', '.join(FORMS)} with a number Q >= 0"
        hint = "" if text.partition(":")[0] in KINDS else did_you_mean(text, KINDS)
        msg = f"{expected}; got {text!r}.{hint}"
        raise ArgumentTypeError(msg)
    return found


def picture(text: str) -> Path:
    """A file name that ends in .png."""
    if not text.endswith(".png"):
        msg = f"expected a file name that ends in .png, got {text!r}."
        raise ArgumentTypeError(msg)
    return Path(text)


def prompt(text: str) -> str:
    """A text that is not empty."""
    if not text:
        msg = "expected a text, got an empty one."
        raise ArgumentTypeError(msg)
    return text


def token_ids(text: str) -> list[int]:
    """``1,2,3``: at least one token id."""
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        # Not by int(): it takes "1_000" and digits of every script.
        if not (part.isascii() and part.isdigit()) or int(part) > LARGEST_ID:
            msg = f"expected token ids such as 1,2,3, each in 0..2**31-1; got {part!r}."
            raise ArgumentTypeError(msg)
    return [int(part) for part in parts]
