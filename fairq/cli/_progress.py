"""Progress bars on stderr, for people only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

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
