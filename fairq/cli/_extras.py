"""The extra packages that show things, asked for before anything is computed."""

import importlib
from typing import Final

from fairq.errors import FairqError

INSTALL: Final = 'Install them with: pip install "fairq[cli]"'


class MissingExtra(FairqError):
    """A package of the extra ``cli`` is not installed."""


def require(command: str, *, pictures: bool = False) -> None:
    """Check that rich (and, for pictures, matplotlib) can be imported.

    Raises:
        MissingExtra: one of them cannot; the message says what to install.
    """
    modules = ("rich", "matplotlib") if pictures else ("rich",)
    try:
        for module in modules:
            importlib.import_module(module)
    except ImportError as error:
        msg = f"fairq {command} needs rich (and matplotlib for pictures). {INSTALL}"
        raise MissingExtra(msg) from error
