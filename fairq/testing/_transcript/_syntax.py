"""How a scenario is written: blocks of commands, and their arguments.

Anything that cannot be read is a ``UsageError`` with the number of its line.
"""

import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, NoReturn, TypeVar

import attrs

from fairq._closest import did_you_mean
from fairq.errors import UsageError
from fairq.testing._transcript._words import unspelled

LINE: Final = "----"
PRICES: Final = (2, 3)
"""How many prices there may be: of prompt, output, and cached tokens."""
T = TypeVar("T")


class BadLine(UsageError):
    """A line of a scenario cannot be read."""


@attrs.frozen
class Line:
    """One line of a scenario, counted from 1."""

    number: int
    text: str

    def refuse(self, expected: str, got: object, hint: str = "") -> NoReturn:
        """Raise the one message that every line that cannot be read gets."""
        msg = f"line {self.number}: expected {expected}; got {got!r}.{hint}"
        raise BadLine(msg)


@attrs.frozen
class Block:
    """Commands with their comments, and what they are expected to print."""

    commands: tuple[Line, ...]
    expected: tuple[str, ...]

    def text(self, printed: Collection[str]) -> str:
        """The block, as if it had printed this."""
        commands = (line.text for line in self.commands)
        return "\n".join([*commands, LINE, *printed])


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a scenario, with empty lines between them."""
    lines: list[Line] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.strip():
            lines.append(Line(number, line))
        elif lines:
            yield _block(lines)
            lines = []


def _block(lines: list[Line]) -> Block:
    texts = [line.text for line in lines]
    end = texts.index(LINE) if LINE in texts else len(texts)
    return Block(tuple(lines[:end]), tuple(texts[end + 1 :]))


@attrs.frozen
class Arguments:
    """The ``key=value`` pairs of one command."""

    line: Line
    values: Mapping[str, str] = attrs.field(factory=dict)

    def _read(self, name: str, usual: T, read: Callable[[str], T], what: str) -> T:
        if name not in self.values:
            return usual
        try:
            return read(self.values[name])
        except ValueError:
            self.line.refuse(f"{what} for {name}=", self.values[name])

    def given(self, name: str) -> bool:
        """Whether it is there."""
        return name in self.values

    def integer(self, name: str, usual: int) -> int:
        """A whole number."""
        return self._read(name, usual, int, "an integer")

    def count(self, name: str) -> int:
        """How often; once when left out."""
        count = self.integer(name, 1)
        if count < 1:
            self.line.refuse(f"an integer >= 1 for {name}=", self.values[name])
        return count

    def needed(self, name: str) -> int:
        """A whole number that must be there."""
        if name not in self.values:
            self.line.refuse(f"the argument {name}=", self.line.text)
        return self.integer(name, 0)

    def limit(self, name: str, usual: int | None) -> int | None:
        """A whole number, or none."""
        return self._read(name, usual, _limit, "an integer or none")

    def number(self, name: str, usual: float) -> float:
        """A number."""
        return self._read(name, usual, figure_of, "a number")

    def name(self, name: str, usual: str) -> str:
        """A name, in which %XX stands for any other character."""
        what = "a name, with %XX for characters that have a meaning here,"
        return self._read(name, usual, unspelled, what)

    def text(self, name: str, usual: str) -> str:
        """As it stands."""
        return self.values.get(name, usual)

    def choice(self, name: str, known: Collection[str], usual: str) -> str:
        """One of some names."""
        value = self.name(name, usual)
        if value not in known:
            self.line.refuse(f"{name}= to be one of {', '.join(known)}", value)
        return value

    def integers(self, name: str) -> tuple[int, ...]:
        """Whole numbers with commas between them."""
        return self._read(name, (), _integers, "integers such as 1,2,3")

    def tokens(self, name: str, usual: Mapping[int, int]) -> Mapping[int, int]:
        """A token for each of some requests."""
        return self._read(name, usual, _tokens, "tokens such as 0:17,1:9")

    def weights(self, name: str) -> Mapping[str, float]:
        """A weight for each of some tenants."""
        return self._read(name, {}, _weights, "weights such as a:1,b:2.5")

    def groups(self, name: str) -> Mapping[str, str]:
        """A group for each of some tenants."""
        return self._read(
            name, {}, _groups, "off, own, everybody, or groups as a:x,b:x"
        )

    def prices(self, name: str, usual: tuple[float, ...]) -> tuple[float, ...]:
        """Prices of prompt and output tokens, and perhaps of cached ones."""
        return self._read(name, usual, _prices, "prices such as 1:2 or 1:2:0.1")

    def service(self, name: str, usual: float | None) -> float | None:
        """An amount of service, or none."""
        return self._read(name, usual, _service, "a number or none")


def read_command(
    line: Line, known: Mapping[str, Collection[str]]
) -> tuple[str, Arguments]:
    """The command of a line, and its arguments.

    Args:
        line: What is read.
        known: By command, the arguments it may have.
    """
    try:
        name, *pairs = shlex.split(line.text)
    except ValueError as error:
        line.refuse(f"a command ({error})", line.text)
    if name not in known:
        expected = f"a command, one of {', '.join(known)}"
        line.refuse(expected, name, did_you_mean(name, known))
    values: dict[str, str] = {}
    for each in pairs:
        key, value = _pair(line, each, known[name])
        if key in values:
            line.refuse(f"the argument {key}= once", f"{key}={value}")
        values[key] = value
    return name, Arguments(line, values)


def _pair(line: Line, pair: str, known: Collection[str]) -> tuple[str, str]:
    key, sign, value = pair.partition("=")
    if not sign:
        line.refuse("arguments such as key=value", pair)
    if key not in known:
        expected = ", ".join(known) or "no argument"
        line.refuse(expected, key, did_you_mean(key, known))
    return key, value


# --- values ---------------------------------------------------------------------------


def figure_of(text: str) -> float:
    """A number; an integer stays one."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _limit(text: str) -> int | None:
    return None if text == "none" else int(text)


def _listed(text: str) -> list[str]:
    return text.split(",") if text else []


def _integers(text: str) -> tuple[int, ...]:
    return tuple(map(int, _listed(text)))


def _split(text: str) -> tuple[str, str]:
    left, sign, right = text.partition(":")
    if not sign:
        raise ValueError(text)
    return left, right


def _tokens(text: str) -> dict[int, int]:
    pairs = map(_split, _listed(text))
    return {int(request_id): int(token) for request_id, token in pairs}


def _weights(text: str) -> dict[str, float]:
    pairs = map(_split, _listed(text))
    return {unspelled(name): figure_of(weight) for name, weight in pairs}


def _groups(text: str) -> dict[str, str]:
    pairs = map(_split, _listed(text))
    return {unspelled(name): unspelled(group) for name, group in pairs}


def _prices(text: str) -> tuple[float, ...]:
    prices = tuple(map(figure_of, text.split(":")))
    if len(prices) not in PRICES:
        raise ValueError(text)
    return prices


def _service(text: str) -> float | None:
    return None if text == "none" else figure_of(text)
