"""The traces of Mooncake: a JSON object per line.

Source: https://github.com/kvcache-ai/Mooncake, Apache-2.0. Keys: ``timestamp`` (ms),
``input_length``, ``output_length`` (tokens) and ``hash_ids`` (ids of the prompt's
512-token blocks, each standing for the whole prefix up to it). What the ids do not
reach is like no other prompt; the last block has as many tokens as are left for it.

Two things are made up, because the file lacks them, and both are the same on every
machine:

* The tenant. The first block is common to nearly all requests, the second tells
  applications apart; so the tenant is CRC-32 of the second block's id in decimal (of
  the first, when there is no second), modulo the number of tenants.
* The time inside a batch. Arrivals were recorded every 3 s. The i-th of n requests
  with one time comes i/n of 3 s after it, or i/n of the way to the next time in
  the file when that is nearer; so nobody overtakes anybody.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from fairq._validators import is_integer
from fairq.sim._content import LARGEST_ID, Span, spans
from fairq.sim._jsonl import Line, read_lines
from fairq.sim._values import Job

BATCH_MS: Final = 3000.0
BLOCK_TOKENS: Final = 512
KEYS: Final = ("timestamp", "input_length", "output_length", "hash_ids")


def parse_mooncake(text: str, file: str, tenants: int) -> tuple[Job, ...]:
    """The jobs of one Mooncake file. Costs O(lines + block ids).

    Raises:
        TraceError: see ``read_trace``.
    """
    names = _names(tenants)
    times_ms: list[float] = []
    rest: list[tuple[str, int, int, tuple[Span, ...]]] = []
    for line in read_lines(text, file):
        line.check_keys(KEYS)
        times_ms.append(_in_order(line, times_ms))
        blocks = _blocks(line)
        length = line.whole("input_length", 1, "tokens")
        output = line.whole("output_length", 1, "tokens")
        name = names[_hash(blocks[:2][-1]) % tenants]
        rest.append((name, length, output, _content(blocks, length)))
    return tuple(
        Job(name, arrival_s, prompt, output, content)
        for (name, prompt, output, content), arrival_s in zip(
            rest, _spread(times_ms), strict=True
        )
    )


def _names(tenants: int) -> list[str]:
    width = len(str(tenants - 1))
    return [f"tenant-{number:0{width}}" for number in range(tenants)]


def _hash(block: int) -> int:
    return zlib.crc32(str(block).encode())


def _blocks(line: Line) -> list[int]:
    value = line.values["hash_ids"]
    if not isinstance(value, list) or not value or not all(map(is_integer, value)):
        line.fail("hash_ids", "a list of at least one block id")
    if not 0 <= min(value) <= max(value) < LARGEST_ID:
        line.fail("hash_ids", "block ids in 0..2**30-1")
    return value


def _content(blocks: Sequence[int], length: int) -> tuple[Span, ...]:
    whole, left = divmod(length, BLOCK_TOKENS)
    content = list(spans(blocks[:whole], BLOCK_TOKENS))
    if left and len(blocks) > whole:
        content.append(Span(blocks[whole], 1, left))
    return tuple(content)


def _in_order(line: Line, before: Sequence[float]) -> float:
    time = line.number_of("timestamp", "milliseconds")
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
