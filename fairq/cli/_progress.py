"""Progress bars on stderr, for people only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
)

Advance = Callable[[int], None]


@contextmanager
def bars(total: int) -> Iterator[Callable[[str], Advance]]:
    """Bars of ``total`` requests each; nothing is shown unless stderr is a terminal.

    Yields:
        A function that starts the bar with a label and returns what moves it: a
        function of how many requests are done.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description:>4}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns, console=console, disable=not console.is_terminal
    ) as progress:

        def start(label: str) -> Advance:
            task = progress.add_task(label, total=total)
            return lambda done: progress.update(task, completed=done)

        yield start


@contextmanager
def byte_bar(label: str) -> Iterator[Callable[[int, int], object]]:
    """One bar that counts bytes; nothing is shown unless stderr is a terminal.

    Yields:
        What moves it: a function of bytes done and bytes in all.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(
        *columns, console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
