"""Models that can be fetched by name, offered by installed distributions.

A distribution offers one with a line in its ``pyproject.toml``::

    [project.entry-points."fairq.models"]
    mine = "my_package:MY_MODEL"
"""

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, Protocol, cast

import attrs

from fairq._closest import did_you_mean
from fairq.cli._progress import byte_bar
from fairq.errors import UsageError

GROUP: Final = "fairq.models"
"""The entry-point group in which models are looked up."""


class PublishedModel(Protocol):
    """What stands behind a name."""

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str:
        """What it is, in one line."""
        ...

    @property
    def licence(self) -> str: ...

    @property
    def bytes(self) -> int:
        """Size of its file."""
        ...

    def path(self) -> Path | None:
        """Its file; None when it is not here."""
        ...

    def pull(self, progress: Callable[[int, int], object], /) -> Path:
        """Fetch its file, if it is not here. Progress: bytes done, and in all."""
        ...


@attrs.frozen
class Offer:
    """A name, and the model behind it or why it cannot be used."""

    name: str
    model: PublishedModel | None
    problem: str


def offers() -> list[Offer]:
    """Every model that is offered, by name; none makes this raise."""
    return [_offer(name) for name in _names()]


def _names() -> list[str]:
    return sorted(entry_points(group=GROUP).names)


def _offer(name: str) -> Offer:
    try:
        return Offer(name, find(name), "")
    except UsageError as error:
        return Offer(name, None, str(error))


def find(name: str) -> PublishedModel:
    """The model of that name.

    Raises:
        UsageError: nobody, or more than one distribution, offers it, or what stands
            behind the name cannot be imported.
    """
    entries = tuple(entry_points(group=GROUP, name=name))
    if not entries:
        names = _names()
        known = ", ".join(names) or "none"
        hint = did_you_mean(name, names)
        msg = f"No model is called {name!r}. Known: {known}.{hint}"
        raise UsageError(msg)
    if len(entries) > 1:
        owners = " and ".join(sorted(_owner(entry) for entry in entries))
        msg = (
            f"The model name {name!r} must be offered by one distribution; got "
            f"{owners}. Uninstall all but one."
        )
        raise UsageError(msg)
    return _load(entries[0])


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def _load(entry: EntryPoint) -> PublishedModel:
    try:
        return cast("PublishedModel", entry.load())
    except Exception as error:  # a plugin may fail in any way while it is imported
        cause = f"{type(error).__name__}: {error}"
        msg = (
            f"The model {entry.name!r} of distribution {_owner(entry)} cannot be "
            f"imported from {entry.value}: {cause}."
        )
        raise UsageError(msg) from error


def fetch(model: PublishedModel) -> Path:
    """The file of a model, downloaded first if it is not here, with a bar."""
    there = model.path()
    if there is not None:
        return there
    with byte_bar(f"Fetching {model.name}") as progress:
        return model.pull(progress)


def locate(source: str) -> str:
    """What is meant by ``--model``: a published name, fetched if need be, or a path.

    A name wins over a file that is called the same; ``./name`` means the file.
    """
    if source not in _names():
        return source
    return str(fetch(find(source)))
