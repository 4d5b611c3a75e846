"""The traces of Mooncake: a JSON object per line.

Source: https://github.com/kvcache-ai/Mooncake, Apache-2.0. Keys: ``timestamp`` (ms),
``input_length``, ``output_length`` (tokens) and ``hash_ids`` (ids of the prompt's
512-token blocks, each standing for the whole prefix up to it).

Two things are made up, because the file lacks them, and both are the same on every
machine:

* The tenant. The first block is common to nearly all requests, the second tells
  applications apart; so the tenant is CRC-32 of the second block's id in decimal (of
  the first, when there is no second), modulo the number of tenants.
* The time inside a batch. Arrivals were recorded every 3 s. The i-th of n requests
  with one time comes i/n of 3 s after it, or i/n of the way to the next time in
  the file when that is nearer; so nobody overtakes anybody.
"""

import json
import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NoReturn

import attrs

from fairq._validators import is_finite, is_integer
from fairq.errors import TraceError
from fairq.sim._values import Job

BATCH_MS: Final = 3000.0
KEYS: Final = ("timestamp", "input_length", "output_length", "hash_ids")


@attrs.frozen
class Line:
    """One line of the file, and where it stands."""

    file: str
    number: int
    values: dict[str, object]

    def fail(self, key: str, expected: str) -> NoReturn:
        """Raise the error for one value."""
        msg = f"expected {expected}; got {self.values[key]!r}."
        raise TraceError(msg, file=self.file, line=self.number, column=key)

    def milliseconds(self) -> float:
        """Its timestamp, at least 0."""
        value = self.values["timestamp"]
        if not isinstance(value, int | float) or not is_finite(value) or value < 0:
            self.fail("timestamp", "a finite number of milliseconds >= 0")
        return float(value)

    def tokens(self, key: str) -> int:
        """A number of tokens, at least 1."""
        value = self.values[key]
        if not isinstance(value, int) or not is_integer(value) or value < 1:
            self.fail(key, "a whole number of tokens >= 1")
        return value

    def block(self) -> int:
        """The block that tells the tenant: the second, or the only one."""
        value = self.values["hash_ids"]
        if not isinstance(value, list) or not value or not all(map(is_integer, value)):
            self.fail("hash_ids", "a list of at least one block id")
        block: int = value[:2][-1]
        return block


def parse_mooncake(text: str, file: str, tenants: int) -> tuple[Job, ...]:
    """The jobs of one Mooncake file. Costs O(lines).

    Raises:
        TraceError: see ``read_trace``.
    """
    names = _names(tenants)
    times_ms: list[float] = []
    rest: list[tuple[str, int, int]] = []
    for line in _lines(text, file):
        times_ms.append(_in_order(line, times_ms))
        name = names[_hash(line.block()) % tenants]
        rest.append((name, line.tokens("input_length"), line.tokens("output_length")))
    return tuple(
        Job(name, arrival_s, prompt, output)
        for (name, prompt, output), arrival_s in zip(
            rest, _spread(times_ms), strict=True
        )
    )


def _names(tenants: int) -> list[str]:
    width = len(str(tenants - 1))
    return [f"tenant-{number:0{width}}" for number in range(tenants)]


def _hash(block: int) -> int:
    return zlib.crc32(str(block).encode())


def _in_order(line: Line, before: Sequence[float]) -> float:
    time = line.milliseconds()
    if before and time < before[-1]:
        line.fail("timestamp", f"at least the {before[-1]} ms of the line above")
    return time


def _spread(times_ms: Sequence[float]) -> Iterator[float]:
    """The times in seconds, each batch of equal times spread until the next."""
    batches = [(time, len(list(batch))) for time, batch in groupby(times_ms)]
    following = [*(time for time, _ in batches[1:]), math.inf]
    for (time, size), next_time in zip(batches, following, strict=True):
        width = min(BATCH_MS, next_time - time)
        yield from ((time + width * index / size) / 1000 for index in range(size))


def _lines(text: str, file: str) -> Iterator[Line]:
    for number, raw in enumerate(text.removesuffix("\n").split("\n"), start=1):
        line = Line(file, number, _object(raw, file, number))
        _check_keys(line)
        yield line


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


def _check_keys(line: Line) -> None:
    for key in KEYS:
        if key not in line.values:
            msg = f"expected this key; got only {', '.join(line.values)}."
            raise TraceError(msg, file=line.file, line=line.number, column=key)
    for key in line.values:
        if key not in KEYS:
            line.fail(key, f"only the keys {', '.join(KEYS)}")
