"""GPUs that can be simulated, by name. Sources and licences: ``data/README.md``."""

import difflib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import attrs

from fairq import UsageError
from fairq_backends.simulated._model import StepTimeModel

FILE: Final = "fitted_step_time_models.json"

KV_BYTES_PER_TOKEN: Final = 32 * 8 * 128 * 2 * 2
"""Of Llama-3-8B in bf16: layers, KV heads, head size, K and V, bytes: 131,072."""

USABLE: Final = 0.9
"""The share of a GPU's memory that servers use by default."""

RESERVED_GB: Final = 16 + 2
"""8 billion weights in bf16, and room for activations and graphs."""

LLMSERVINGSIM: Final = "LLMServingSim (MIT)"
AICONFIGURATOR: Final = "NVIDIA aiconfigurator (Apache-2.0)"

CATALOGUE: Final = (
    # name, key in the file, memory in GB, source
    ("a100-llama3-8b", "a100_sxm Llama-3-8B bf16 composed", 80, AICONFIGURATOR),
    ("h100-llama3-8b", "h100_sxm Llama-3-8B bf16 composed", 80, AICONFIGURATOR),
    ("h200-llama3-8b", "h200_sxm Llama-3-8B bf16 composed", 141, AICONFIGURATOR),
    (
        "rtxpro6000-llama3.1-8b",
        "RTXPRO6000 Llama-3.1-8B bf16 vLLM0.19",
        96,
        LLMSERVINGSIM,
    ),
)


@attrs.frozen(kw_only=True)
class Preset:
    """One GPU with one model on it."""

    name: str
    """What the option ``gpu`` takes."""

    model: StepTimeModel
    """How long its steps take."""

    memory_gb: int
    """Memory of the GPU, in 10**9 bytes."""

    source: str
    """Whose measurements these are, and their licence."""

    region: str
    """Where the model was fitted; outside it is a guess."""

    points: int
    """Measured steps that it was fitted to."""

    error_median: float
    """Median relative error of the fit; 0.03 is 3 %."""

    error_p90: float
    """Nine of ten points have a smaller relative error."""

    note: str
    """What else its source says; often empty."""

    @property
    def kv_tokens(self) -> int:
        """Tokens of KV that fit: 90 % of the memory, less weights and activations."""
        room = round(self.memory_gb * 1e9 * USABLE) - round(RESERVED_GB * 1e9)
        return room // KV_BYTES_PER_TOKEN


@cache
def load_presets() -> Mapping[str, Preset]:
    """All presets by name, sorted; read from the package once."""
    text = (files("fairq_backends") / "data" / FILE).read_text(encoding="utf-8")
    fits = json.loads(text)
    presets = (_preset(name, fits[key], gb, by) for name, key, gb, by in CATALOGUE)
    return MappingProxyType({preset.name: preset for preset in presets})


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        UsageError: there is none; the message lists the names and the closest.
    """
    presets = load_presets()
    if name in presets:
        return presets[name]
    closest = difflib.get_close_matches(str(name), list(presets), n=1, cutoff=0.4)
    hint = f" Did you mean {closest[0]!r}?" if closest else ""
    msg = f"gpu must be one of {', '.join(presets)}; got {name!r}.{hint}"
    raise UsageError(msg)


def _preset(name: str, fit: Mapping[str, Any], memory_gb: int, source: str) -> Preset:
    return Preset(
        name=name,
        model=_model(fit),
        memory_gb=memory_gb,
        source=source,
        region=fit.get("region", "not stated"),
        points=fit["n_points"],
        error_median=fit["err_median"],
        error_p90=fit["err_p90"],
        note=fit.get("note", ""),
    )


def _model(fit: Mapping[str, Any]) -> StepTimeModel:
    mixed = fit["c_mixed_ms_per_ctx_token"]
    if mixed is None:
        # Not measured there; where it was, mixed steps paid about twice as much.
        mixed = 2 * fit["c_ms_per_ctx_token"]
    return StepTimeModel(
        a_ms=fit["a_ms"],
        b_ms_per_token=fit["b_ms_per_token"],
        f_ms=fit["f_ms"],
        c_ms_per_ctx_token=fit["c_ms_per_ctx_token"],
        c_mixed_ms_per_ctx_token=mixed,
        d_ms_per_token_pair=fit["d_ms_per_token_pair"],
        e_ms_per_seq=fit["e_ms_per_seq"],
        overhead_ms=fit["suggested_overhead_ms_per_step"],
    )
