"""The ``fairq`` command: demo, replay, measure, generate, models, backends.

What it shows needs the extra ``cli`` (rich, and matplotlib for pictures); both are
imported only when something is shown, so ``import fairq`` never pays for them.
"""

from fairq.cli._main import main

__all__ = ["main"]
