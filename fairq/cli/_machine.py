"""The simulated machine that replays run on, found by name like any backend."""

from contextlib import closing
from typing import Final, Protocol, cast

import attrs

from fairq.backend import Capacity, SyncBackend
from fairq.plugins import load_backend

NAME: Final = "simulated"


class _Simulated(SyncBackend, Protocol):
    """What the simulated backend has besides."""

    def presets(self) -> tuple[str, ...]: ...


def presets() -> tuple[str, ...]:
    """The names that ``Machine.gpu`` may be."""
    with closing(cast("_Simulated", load_backend(NAME))) as backend:
        return backend.presets()


@attrs.frozen(kw_only=True)
class Machine:
    """What to simulate. Lengths are in tokens."""

    gpu: str
    """A preset, such as ``h100-llama3-8b``."""
    kv_tokens: int | None = None
    """Size of the KV pool; None for what the preset's GPU has room for."""
    block_size: int = 16
    token_budget: int = 2048
    """Most tokens that one step computes."""
    max_sequences: int = 256
    seed: int = 0

    def backend(self) -> SyncBackend:
        """A fresh backend, as if the machine had just been started.

        Raises:
            UsageError: the preset is not known, and the message lists them; or the
                pool is smaller than one block.
        """
        options: dict[str, object] = {
            "gpu": self.gpu,
            "block_size": self.block_size,
            "tokens_per_step": self.token_budget,
            "max_sequences": self.max_sequences,
            "seed": self.seed,
        }
        if self.kv_tokens is not None:
            options["kv_tokens"] = self.kv_tokens
        return cast("SyncBackend", load_backend(NAME, **options))

    def check(self) -> Capacity:
        """Raise what ``backend`` would, before anything long has begun."""
        with closing(self.backend()) as backend:
            return backend.capacity
