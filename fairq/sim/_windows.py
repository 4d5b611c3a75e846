"""The windows of the paper: who asked for what and who got what in each of them.

Source: Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), and the
script that made its tables. 19 ticks, 28.5 s apart, from 28.5 s on; the window of a
tick is the 60 s that follow it, both ends included. A request's service is its whole
cost, spread evenly from its first to its last token; with a single token, all at that
moment.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Final

from fairq.cost import LinearCost
from fairq.sim._values import Record

TICK_S: Final = 28.5
TICKS: Final = 19
WIDTH_S: Final = 60.0

PerTenant = dict[str, float]


def ticks_between(first: float, last: float) -> Iterator[tuple[int, float, float]]:
    """Index, start and end of every window that meets a span of time."""
    low = max(1, math.ceil((first - WIDTH_S) / TICK_S))
    high = min(TICKS, math.floor(last / TICK_S))
    for tick in range(low, high + 1):
        yield tick - 1, tick * TICK_S, tick * TICK_S + WIDTH_S


def part(first: float, last: float, start: float, end: float) -> float:
    """Which part of a span [first, last] lies in [start, end], 0 to 1."""
    if last > first:
        return max(0.0, min(end, last) - max(start, first)) / (last - first)
    return 1.0 if start <= first <= end else 0.0


def asked(record: Record, cost: LinearCost) -> float:
    """The service a request asks for."""
    return cost.service(record.prompt_tokens, record.output_tokens)


def served(records: Iterable[Record], cost: LinearCost) -> list[PerTenant]:
    """Service per window and tenant. Costs O(windows that each request touches)."""
    windows: list[PerTenant] = [{} for _ in range(TICKS)]
    for record in records:
        if record.rejected:
            continue
        first, last = record.first_token_s, record.last_token_s
        for index, start, end in ticks_between(first, last):
            amount = asked(record, cost) * part(first, last, start, end)
            add(windows[index], record.client, amount)
    return windows


def arrived(records: Iterable[Record], cost: LinearCost) -> list[PerTenant]:
    """Service asked for by the requests that arrived in each window, per tenant."""
    windows: list[PerTenant] = [{} for _ in range(TICKS)]
    for record in records:
        for index, _, _ in ticks_between(record.arrival_s, record.arrival_s):
            add(windows[index], record.client, asked(record, cost))
    return windows


def outstanding(records: Iterable[Record], cost: LinearCost) -> list[PerTenant]:
    """Service that could have been given in each window, per tenant.

    What had arrived by its end, less what had been served by its start. Rejected
    requests are left out: nobody could have served them.
    """
    windows: list[PerTenant] = [{} for _ in range(TICKS)]
    for record in records:
        if record.rejected:
            continue
        first, last = record.first_token_s, record.last_token_s
        for index, start, _ in ticks_between(record.arrival_s, last):
            open_part = part(first, last, start, math.inf)
            add(windows[index], record.client, asked(record, cost) * open_part)
    return windows


def add(window: PerTenant, tenant: str, amount: float) -> None:
    """Add to what a tenant has."""
    window[tenant] = window.get(tenant, 0.0) + amount
