"""Rotary position embeddings: the angles of each position."""

import math
from typing import TYPE_CHECKING, Any, Final

import attrs
import torch
from torch import Tensor

from fairq import UsageError

if TYPE_CHECKING:
    from fairq_backends.llama._config import LlamaConfig

KINDS: Final = ("default", "linear", "llama3", "factors")


def _positive(_: object, attribute: "attrs.Attribute[Any]", it: object) -> None:
    number = it if isinstance(it, int | float) else 0
    if isinstance(it, bool) or not 0 < number < math.inf:
        msg = f"Rope.{attribute.name} must be positive and finite, got {it!r}."
        raise UsageError(msg)


def _known(_: object, __: object, it: object) -> None:
    if it not in KINDS:
        msg = f"The rope type must be one of {', '.join(KINDS)}; got {it!r}."
        raise UsageError(msg)


@attrs.frozen(kw_only=True)
class Rope:
    """How positions become angles. Rotation is half-split: pairs (i, i + D/2)."""

    theta: float = attrs.field(default=10_000.0, validator=_positive)
    """Base of the frequencies: pair i turns by theta ** (-2i / D) per position."""

    kind: str = attrs.field(default="default", validator=_known)
    """``default``, ``linear`` (all frequencies divided by ``factor``), ``llama3`` (low
    ones divided, those between blended), or ``factors`` (each by its own number)."""

    factor: float = attrs.field(default=1.0, validator=_positive)
    """How many times longer contexts become (linear, llama3)."""

    low_freq_factor: float = attrs.field(default=1.0, validator=_positive)
    """Wavelengths over original_context / this are divided in full (llama3)."""

    high_freq_factor: float = attrs.field(default=4.0, validator=_positive)
    """Wavelengths under original_context / this stay as they are (llama3)."""

    original_context: int = attrs.field(default=8192, validator=_positive)
    """Length the model was first trained on, in positions (llama3)."""

    factors: tuple[float, ...] = ()
    """What each of the D/2 frequencies is divided by (factors)."""

    def __attrs_post_init__(self) -> None:
        if self.kind == "llama3" and self.low_freq_factor >= self.high_freq_factor:
            msg = (
                f"llama3 rope needs low_freq_factor < high_freq_factor; got "
                f"{self.low_freq_factor} and {self.high_freq_factor}."
            )
            raise UsageError(msg)
        if not all(0 < each < math.inf for each in self.factors):
            msg = f"The factors of rope must be positive, got {self.factors!r}."
            raise UsageError(msg)

    def frequencies(self, head_dim: int) -> Tensor:
        """Radians per position of each pair, (head_dim / 2) in fp32.

        The operations are those of ``transformers`` in their order, so that the last
        bits are too.
        """
        steps = torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim
        plain: Tensor = 1.0 / (self.theta**steps)
        match self.kind:
            case "linear":
                return plain / self.factor
            case "llama3":
                return self._llama3(plain)
            case "factors":
                return plain / torch.tensor(self.factors, dtype=torch.float32)
            case _:
                return plain

    def _llama3(self, plain: Tensor) -> Tensor:
        """As published with Llama 3.1: three bands by wavelength."""
        low, high = self.low_freq_factor, self.high_freq_factor
        wavelength = 2 * math.pi / plain
        divided = torch.where(
            wavelength > self.original_context / low, plain / self.factor, plain
        )
        share = (self.original_context / wavelength - low) / (high - low)
        blended = (1 - share) * divided / self.factor + share * divided
        between = (wavelength >= self.original_context / high) & (
            wavelength <= self.original_context / low
        )
        return torch.where(between, blended, divided)


def rope_table(
    config: "LlamaConfig", length: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of positions 0 .. length - 1, each (length, D/2) in fp32.

    Computed on the CPU whatever the device, so that all devices have the same bits.
    """
    if length < 0:
        msg = f"A rope table cannot have {length} positions."
        raise UsageError(msg)
    positions = torch.arange(length, dtype=torch.float32)
    angles = torch.outer(positions, config.rope.frequencies(config.head_dim))
    return angles.cos().to(device), angles.sin().to(device)
