"""Where downloaded models are kept."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder of fairq in the user's cache; it need not exist.

    The first that is set of ``$FAIRQ_CACHE``, ``$XDG_CACHE_HOME/fairq`` and
    ``~/.cache/fairq``. Read anew at each call, so that a test can move it.
    """
    own = os.environ.get("FAIRQ_CACHE")
    if own:
        return Path(own).expanduser()
    xdg = os.environ.get("XDG_CACHE_HOME")
    base = Path(xdg) if xdg else Path.home() / ".cache"
    return base / "fairq"
