"""The commands by name. Importing this needs rich; ``_main`` asks for it first."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Final

from fairq.cli._backends import backends
from fairq.cli._demo import demo
from fairq.cli._generate import generate
from fairq.cli._measure import measure
from fairq.cli._models import models
from fairq.cli._replay import replay

COMMANDS: Final[Mapping[str, Callable[[Namespace], None]]] = {
    "demo": demo,
    "replay": replay,
    "measure": measure,
    "generate": generate,
    "models": models,
    "backends": backends,
}
