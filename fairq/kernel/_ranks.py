"""Which request goes first inside the gate: smaller ranks do."""

from collections.abc import Callable
from functools import partial

import attrs

from fairq.kernel._node import Hit
from fairq.kernel._sequence import Sequence
from fairq.kernel._tables import Tables
from fairq.order import Order

FINE = 2**20
"""Ratios are compared as integers in 1/FINE."""


@attrs.define(eq=False)
class Choice:
    """A request that could be admitted, and what of it is in the cache."""

    sequence: Sequence
    hit: Hit


def rank_of(order: Order, tables: Tables) -> Callable[[Choice], int]:
    """The rank that an order gives."""
    match order:
        case Order.FIFO:
            return _by_age
        case Order.PREFIX:
            return _by_prefix
        case Order.SHORTEST:
            return partial(_by_work, tables)
        case Order.DECODE_HEAVY:
            return partial(_by_ratio, tables)


# Functions with names, because a kernel can be pickled.


def _by_age(choice: Choice) -> int:
    return choice.sequence.id


def _by_prefix(choice: Choice) -> int:
    return -choice.hit.depth


def _prompt(tables: Tables, choice: Choice) -> int:
    """Positions to compute before its next token."""
    return choice.sequence.known - choice.hit.depth * tables.block_size


def _outputs(choice: Choice) -> int:
    return choice.sequence.request.max_tokens - choice.sequence.produced


def _by_work(tables: Tables, choice: Choice) -> int:
    return _prompt(tables, choice) + _outputs(choice)


def _by_ratio(tables: Tables, choice: Choice) -> int:
    return -FINE * _outputs(choice) // _prompt(tables, choice)
