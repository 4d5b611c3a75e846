"""The terminal, as all commands write to it."""

import textwrap
from typing import Final

from rich.console import Console
from rich.table import Table

WIDTH: Final = 79
"""Where sentences are broken, on every terminal: the same command, the same bytes."""


class _Stdout(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to ``main``; rich would end the process."""
        raise BrokenPipeError


def show(*parts: str | Table) -> None:
    """Write sentences and tables to stdout; nothing in them is taken as markup."""
    console = _Stdout(highlight=False)
    for part in parts:
        if isinstance(part, str):
            text = textwrap.fill(part, WIDTH, break_long_words=False)
            console.print(text, markup=False, soft_wrap=True)
        else:
            console.print(part)
