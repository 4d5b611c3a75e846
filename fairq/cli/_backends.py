"""``fairq backends``: what is installed, and whether it works."""

from argparse import Namespace

from rich import box
from rich.table import Table
from rich.text import Text

from fairq.backend import Capacity
from fairq.cli._console import show
from fairq.plugins import BackendInfo, list_backends


def backends(_arguments: Namespace) -> None:
    """List the installed backends: name, distribution, capacity or the problem."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("distribution", no_wrap=True)
    table.add_column("capacity, or why it cannot load", overflow="fold")
    for info in list_backends():
        # As Text, because rich would take the brackets of "fairq[torch]" for markup.
        cells = (info.name, info.distribution, _state(info))
        table.add_row(*(Text(cell) for cell in cells))
    show(table)


def _state(info: BackendInfo) -> str:
    return info.problem or (_capacity(info.capacity) if info.capacity else "")


def _capacity(capacity: Capacity) -> str:
    tokens = capacity.blocks * capacity.block_size
    return (
        f"{tokens:,} tokens of KV, {capacity.max_sequences:,} sequences, "
        f"{capacity.tokens_per_step:,} tokens a step"
    )
