"""Some answers of a model, and when they began: a table."""

import textwrap
from collections.abc import Sequence
from typing import Final

import attrs
from rich import box
from rich.table import Table
from rich.text import Text

from fairq.cli._chats import BULK, PHONE, SUPPORT, Traffic
from fairq.sim import Run

SHOWN: Final = (
    (SUPPORT, 0),
    (SUPPORT, 7),
    (PHONE, 1),
    (PHONE, 3),
    (BULK, 2),
    (BULK, 42),
)
"""Tenant, and which of its chats: early and late ones."""

LINE: Final = 49
"""Characters of a text that fit beside the other columns in 80."""


@attrs.frozen
class Served:
    """One run, and what was said in it."""

    run: Run
    answers: Sequence[str]
    """In the order of the trace."""


def answers_table(traffic: Traffic, served: Sequence[Served]) -> Table:
    """A handful of chats: question and first line of the answer, and the waits."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("tenant", no_wrap=True)
    table.add_column("asked, and answered", no_wrap=True)
    for one in served:
        heading = f"{one.run.policy.upper()}, s"
        table.add_column(heading, justify="right", no_wrap=True)
    for index in _shown(traffic):
        chat = traffic.chats[index]
        lines = (chat.text, first_line(served[-1].answers[index]))
        text = Text("\n".join(_fitting(line) for line in lines))
        waits = [one.run.records[index].first_token_latency_s for one in served]
        cells = [f"{wait:.2f}" for wait in waits]
        table.add_row(chat.tenant, text, *cells)
    return table


def _shown(traffic: Traffic) -> list[int]:
    by_tenant: dict[str, list[int]] = {}
    for index, chat in enumerate(traffic.chats):
        by_tenant.setdefault(chat.tenant, []).append(index)
    return [by_tenant[tenant][place] for tenant, place in SHOWN]


def _fitting(line: str) -> str:
    return textwrap.shorten(line, LINE, placeholder=" ...")


def first_line(text: str) -> str:
    """The first line that is not empty, without what would move a cursor."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    first = next((line for line in lines if line), "")
    return "".join(each if each.isprintable() else "?" for each in first)


def agreement(served: Sequence[Served]) -> str:
    """How many of the answers are the same in all runs."""
    pairs = list(zip(*(one.answers for one in served), strict=True))
    same = sum(len(dict.fromkeys(pair)) == 1 for pair in pairs)
    if same == len(pairs):
        return f"All {same} answers are the same under both policies, to the letter."
    return f"{same} of {len(pairs)} answers are the same under both policies."
