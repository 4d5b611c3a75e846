"""What the numbers were measured on."""

import datetime as dt
import importlib.metadata
import platform
import subprocess

import torch

__all__ = ["describe"]

PACKAGES = ("torch", "triton", "numpy", "transformers", "flash_attn", "kernels")
FIELDS = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"


def describe(device: torch.device) -> dict[str, str]:
    """Names and versions."""
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "device": _name(device),
        "nvidia-smi": _smi(),
        "python": platform.python_version(),
        "cuda": str(torch.version.cuda),
        **{name: _version(name) for name in PACKAGES},
    }


def _name(device: torch.device) -> str:
    if device.type != "cuda":
        return f"{platform.machine()}, a rehearsal: the numbers mean nothing"
    found = torch.cuda.get_device_properties(device)
    cache = getattr(found, "L2_cache_size", 0) // 2**20
    memory = found.total_memory // 2**30
    return (
        f"{found.name}, {found.multi_processor_count} multiprocessors, "
        f"{memory} GiB, L2 {cache} MiB"
    )


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _smi() -> str:
    command = ["nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603  # a constant
            command, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not readable: {error}"
    return f"{FIELDS}: {done.stdout.strip() or done.stderr.strip()}"
