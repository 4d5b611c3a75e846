"""The options of the executor, checked and completed."""

from typing import Final

import torch

from fairq import UsageError

__all__ = [
    "DTYPES",
    "MODES",
    "device_of",
    "dtype_of",
    "kv_dtype_of",
    "mode_of",
    "usual_dtype",
]

DTYPES: Final = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

MODES: Final = ("exact", "fast")


def device_of(name: str) -> torch.device:
    """The device of that name; ``"auto"`` is a GPU where there is one.

    Raises:
        UsageError: Torch knows no such device, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        msg = f"device must be 'auto', 'cpu' or 'cuda'; got {name!r}."
        raise UsageError(msg) from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        msg = f"device must be 'auto', 'cpu' or 'cuda'; got {name!r}."
        raise UsageError(msg)
    if device.type == "cuda" and not torch.cuda.is_available():
        msg = f"device={name!r} needs a GPU that Torch can use; there is none."
        raise UsageError(msg)
    return torch.device("cpu") if device.type == "cpu" else device


def usual_dtype(device: torch.device) -> torch.dtype:
    """float32 on a CPU, bfloat16 on a GPU."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16


def dtype_of(name: str | None, usual: torch.dtype) -> torch.dtype:
    """The type of weights and KV; ``usual`` for None.

    Raises:
        UsageError: it is none of ``DTYPES``.
    """
    if name is None:
        return usual
    return DTYPES[_one_of("dtype", name, tuple(DTYPES))]


def kv_dtype_of(dtype: torch.dtype, mode: str, device: torch.device) -> torch.dtype:
    """The type of K and V: that of the weights, but float32 for exact mode on a CPU.

    There attention computes in float32, and to widen what was gathered costs more than
    to gather twice the bytes.
    """
    return torch.float32 if mode == "exact" and device.type == "cpu" else dtype


def mode_of(name: str | None, device: torch.device) -> str:
    """``"exact"`` or ``"fast"``; None is exact on a CPU and fast on a GPU.

    Raises:
        UsageError: it is neither.
    """
    if name is None:
        return "exact" if device.type == "cpu" else "fast"
    return _one_of("mode", name, MODES)


def _one_of(option: str, got: str, known: tuple[str, ...]) -> str:
    if got not in known:
        msg = f"{option} must be one of {', '.join(known)}; got {got!r}."
        raise UsageError(msg)
    return got
