"""Backends that know text: what the commands that run a model ask of one.

The executors are plugins, found by name like every backend; nothing here imports them.
"""

import inspect
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import NoReturn, Protocol, Self, cast

from fairq.backend import Backend, SyncBackend
from fairq.cli._machine import NAME as SIMULATED
from fairq.errors import UsageError
from fairq.plugins import GROUP, load_backend
from fairq.request import RequestId


class TextStream(Protocol):
    """Text from tokens that come one at a time."""

    def push(self, token: int, /) -> str:
        """What became whole with this token; may be empty."""
        ...

    def end(self) -> str:
        """What was held back."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    def encode(self, text: str, /) -> list[int]: ...

    def decode(self, ids: Sequence[int], /) -> str: ...

    def chat(self, messages: Sequence[Mapping[str, str]], /) -> str:
        """The prompt for a conversation, up to where the assistant begins."""
        ...

    def text_stream(self) -> TextStream: ...


class Numbers(Protocol):
    """As much of a tensor as is looked at here."""

    def tolist(self) -> list[float]: ...

    def __len__(self) -> int: ...

    def topk(self, k: int, /) -> tuple[Self, Self]:
        """The k largest, and where they are."""
        ...


class TextBackend(SyncBackend, Protocol):
    """A backend that runs a model."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's; None when its files have none."""
        ...

    @property
    def model_name(self) -> str: ...

    @property
    def logits(self) -> Mapping[RequestId, Numbers]:
        """Of the last step, with the option ``keep_logits``."""
        ...


MEMBERS = ("tokenizer", "model_name", "logits")


def check_backend(name: str) -> None:
    """Refuse what ``load_text_backend`` would, as far as the name tells.

    To be called before a model is downloaded. Costs the import of the backend.

    Raises:
        UsageError: there is no such backend, or it is the simulated one.
        BackendError: it cannot be imported.
    """
    if name == SIMULATED:
        _refuse(name)
    # Threads of OpenMP that wait by spinning cost tens of milliseconds in each parallel
    # region when anything else wants a core. The variable is read when it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    entries = entry_points(group=GROUP, name=name)
    try:
        for entry in entries:
            entry.load()
        usable = len(entries) == 1
    except Exception:  # noqa: BLE001  # said in other words by the next line
        usable = False
    if not usable:
        load_backend(name).close()


def load_text_backend(name: str, **options: object) -> TextBackend:
    """Load a model into the backend of that name; the caller closes it.

    Raises:
        UsageError: the backend runs no model, or does not take an option.
        BackendError: it cannot be imported.
    """
    backend: Backend = load_backend(name, **options)
    plain = not inspect.iscoroutinefunction(backend.step)
    if not plain or not all(hasattr(backend, member) for member in MEMBERS):
        backend.close()
        _refuse(name)
    return cast("TextBackend", backend)


def _refuse(name: str) -> NoReturn:
    msg = (
        f"--backend: {name!r} runs no model, so it has neither text nor logits. "
        f"Expected a backend that does, such as 'torch'."
    )
    raise UsageError(msg)


def tokenizer_of(backend: TextBackend, instead: str) -> Tokenizer:
    """The tokenizer of a backend's model.

    Raises:
        UsageError: the model has none; ``instead`` says what to do.
    """
    if backend.tokenizer is None:
        msg = f"The files of {backend.model_name} have no tokenizer. {instead}"
        raise UsageError(msg)
    return backend.tokenizer
