"""The table of bugs that others had, as data: docs/peers.md, read and not repeated."""

from pathlib import Path
from typing import Final

import attrs

PAGE: Final = Path(__file__).parents[1] / "docs" / "peers.md"
CANNOT: Final = "cannot occur: "


@attrs.frozen
class Row:
    """One bug."""

    id: str
    """Its group, a letter, and its number in it."""
    bug: str
    invariant: str
    tests: tuple[tuple[str, str], ...]
    """Files and names of what covers it; empty if it cannot occur."""
    reason: str
    """Why it cannot occur; empty if it is covered."""

    @property
    def covered(self) -> bool:
        """Whether it could occur, and a test says that it does not."""
        return bool(self.tests)


def rows() -> list[Row]:
    """All rows of the page, in order."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [row(line) for line in lines if line.startswith("| ") and is_bug(line)]


def is_bug(line: str) -> bool:
    """Whether a row of a table is one of a bug, and not a heading."""
    name = cells(line)[0]
    return name[:1].isupper() and name[1:].isdigit()


def row(line: str) -> Row:
    name, bug, invariant, last = cells(line)
    if last.startswith(CANNOT):
        return Row(name, bug, invariant, (), last.removeprefix(CANNOT))
    return Row(name, bug, invariant, tuple(map(link_of, last.split(", "))), "")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def link_of(link: str) -> tuple[str, str]:
    """File and name of ``[`file::name`](../file)``."""
    text, _, target = link.partition("](")
    file, _, name = text.strip("[`").partition("::")
    if target != f"../{file})":
        msg = f"This link should read [`file::name`](../file): {link!r}"
        raise ValueError(msg)
    return file, name
