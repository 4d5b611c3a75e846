"""What every measurement gets: where to run, at what sizes, and where to say it."""

import attrs
import torch

from tests.benchmarks.gpu.log import Log
from tests.benchmarks.gpu.rows import Row
from tests.benchmarks.gpu.sizes import Sizes
from tests.benchmarks.gpu.timing import Timer, Timing

__all__ = ["Bench"]

COPY = "copy bandwidth"
MATMUL = "matmul rate"


@attrs.define(eq=False)
class Bench:
    """One process's view of the run."""

    device: torch.device
    sizes: Sizes
    log: Log
    measurement: str = ""
    timer: Timer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.timer = Timer(self.device, self.sizes.repeats, self.sizes.flush_bytes)

    @property
    def dtype(self) -> torch.dtype:
        """bfloat16, which Triton's interpreter computes wrongly."""
        return torch.bfloat16 if self.device.type == "cuda" else torch.float32

    @property
    def copy_rate(self) -> float:
        """Bytes a second, read and written together, as measured in this run."""
        return self._ceiling(COPY) * 1e9

    @property
    def matmul_rate(self) -> float:
        """Operations a second, as measured in this run."""
        return self._ceiling(MATMUL) * 1e12

    def say(
        self,
        name: str,
        value: float | None,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        note: object = "",
    ) -> None:
        """Add a row to the log and show it."""
        row = Row(
            measurement=self.measurement,
            name=name,
            value=value,
            unit=unit,
            at_least=at_least,
            at_most=at_most,
            note=note.text() if isinstance(note, Timing) else str(note),
        )
        self.log.add("row", attrs.asdict(row))
        print(row.line(), flush=True)

    def random(self, *shape: int, seed: int = 0) -> torch.Tensor:
        """Normal numbers: hardware is faster on zeros than it will ever be in use."""
        generator = torch.Generator(self.device).manual_seed(seed)
        empty = torch.empty(shape, dtype=self.dtype, device=self.device)
        return empty.normal_(generator=generator)

    def _ceiling(self, name: str) -> float:
        values = [row.value for row in self.log.rows() if row.name == name]
        if not values or values[0] is None:
            msg = f"{self.measurement} needs the {name}; run the ceilings first"
            raise RuntimeError(msg)
        return values[0]
