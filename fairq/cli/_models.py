"""``fairq models``: which models can be fetched by name, and fetching one."""

import sys
from argparse import Namespace
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from fairq.cli._catalogue import Offer, PublishedModel, fetch, find, offers
from fairq.cli._console import show

MEGA: Final = 10**6


def models(arguments: Namespace) -> None:
    """List the published models, or fetch one into the cache."""
    if arguments.action == "pull":
        _pull(arguments.name)
    else:
        show(_table(offers()))


def _pull(name: str) -> None:
    path = fetch(find(name))
    # Not through show: a path is broken nowhere.
    sys.stdout.write(f"{name} is here: {path}\n")


def _table(known: list[Offer]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("size", no_wrap=True, justify="right")
    table.add_column("licence", no_wrap=True)
    table.add_column("what it is, and where", overflow="fold")
    for offer in known:
        # As Text: rich would take brackets for markup.
        table.add_row(*(Text(cell) for cell in _cells(offer)))
    return table


def _cells(offer: Offer) -> tuple[str, ...]:
    if offer.model is None:
        return offer.name, "", "", offer.problem
    model = offer.model
    size = f"{model.bytes / MEGA:,.1f} MB"
    return offer.name, size, model.licence, f"{model.about}\n{_where(model)}"


def _where(model: PublishedModel) -> str:
    path = model.path()
    return f"not here: fairq models pull {model.name}" if path is None else str(path)
