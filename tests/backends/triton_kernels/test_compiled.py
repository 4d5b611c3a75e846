"""Kernels compiled for Hopper (sm_90), which needs no GPU: what the assembler says.

The interpreter accepts more than a GPU does, and knows no registers.
"""

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import pytest
import torch

from fairq_backends.triton_kernels import SEGMENT, TILE
from fairq_backends.triton_kernels._add_norm import add_norm_kernel
from fairq_backends.triton_kernels._attend_partial import attend_partial_kernel
from fairq_backends.triton_kernels._attend_prefill import attend_prefill_kernel
from fairq_backends.triton_kernels._attention_check import launch_options
from fairq_backends.triton_kernels._fold import fold_kernel
from fairq_backends.triton_kernels._matmul import matmul_kernel, matmul_options
from fairq_backends.triton_kernels._rope_store import rope_store_kernel
from fairq_backends.triton_kernels._sample import sample_kernel
from fairq_backends.triton_kernels._swiglu import swiglu_kernel

Jitted: TypeAlias = Any
triton: Any = importlib.import_module("triton")  # has no type hints
compiler: Any = importlib.import_module("triton.compiler")
targets: Any = importlib.import_module("triton.backends.compiler")

SHARED_MEMORY: Final = 227 * 1024
OPTIONS: Final = ("num_warps", "num_stages", "enable_fp_fusion")
TYPES: Final = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.int32: "*i32",
    torch.int64: "*i64",
    int: "i32",
    float: "fp32",
}
BF16: Final = torch.bfloat16


@attrs.frozen
class Compiled:
    """One binary."""

    ptx: str
    stack: int
    local: int
    shared: int

    def count(self, instruction: str) -> int:
        return self.ptx.count(instruction)


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))


def compiled(
    kernel: Jitted, arguments: dict[str, Any], constants: dict[str, Any], folder: Path
) -> Compiled:
    options = {name: constants[name] for name in OPTIONS if name in constants}
    constants = {name: it for name, it in constants.items() if name not in OPTIONS}
    assert {*arguments, *constants} == set(kernel.arg_names)
    signature = {
        name: TYPES[arguments[name]] if name in arguments else "constexpr"
        for name in kernel.arg_names
    }
    aligned: dict[tuple[int, ...], Any] = {
        (place,): [["tt.divisibility", 16]]
        for place, name in enumerate(kernel.arg_names)
        if signature[name].startswith("*")
    }
    source = compiler.ASTSource(kernel, signature, constants, aligned)
    binary = triton.compile(
        source, target=targets.GPUTarget("cuda", 90, 32), options=options
    )
    cubin = folder / "kernel.cubin"
    cubin.write_bytes(binary.asm["cubin"])
    usage = resource_usage(cubin)
    return Compiled(
        binary.asm["ptx"], usage["STACK"], usage["LOCAL"], binary.metadata.shared
    )


def resource_usage(cubin: Path) -> dict[str, int]:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    printed = subprocess.run(  # noqa: S603  # comes with Triton
        [tool, "-res-usage", cubin], capture_output=True, text=True, check=True
    ).stdout
    return {
        name: int(number) for name, number in re.findall(r"([A-Z]+):(\d+)", printed)
    }


def attention(kernel: Jitted, rows: int, dim: int, folder: Path) -> Compiled:
    types = {
        **dict.fromkeys(("q", "out", "keys", "values"), BF16),
        **dict.fromkeys(("tables", "items", "n_items", "members"), torch.int32),
        **dict.fromkeys(("maxima", "sums", "states"), torch.float32),
        "positions": torch.int64,
        "scale": float,
        "table_stride": int,
    }
    arguments = {name: types[name] for name in kernel.arg_names if name in types}
    constants = {
        "heads": 32,
        "kv_heads": 8,
        "page": 16,
        "dim": dim,
        "dim_block": dim,
        "rows": rows,
        "tile": TILE,
        "segment": SEGMENT,
        **launch_options(rows, dim, BF16),
    }
    return compiled(kernel, arguments, constants, folder)


@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("rows", [16, 64, 128])
@pytest.mark.parametrize("kernel", [attend_prefill_kernel, attend_partial_kernel])
def test_attention_fits_and_uses_tensor_cores(
    kernel: Jitted, rows: int, dim: int, tmp_path: Path
) -> None:
    binary = attention(kernel, rows, dim, tmp_path)
    assert (0, 0) == (binary.stack, binary.local)
    assert binary.shared <= SHARED_MEMORY
    wide = rows >= 64
    assert wide == (binary.count("wgmma.mma_async") > 0)
    assert wide != (binary.count("mma.sync") > 0)
    assert binary.count("cp.async.c") > 0  # loads ahead of the arithmetic
    assert 0 == binary.count("fma.rn.f32")  # else forms would round apart


@pytest.mark.parametrize("rows", [1, 64, 65, 2048])
@pytest.mark.parametrize(("n", "k"), [(960, 576), (28_672, 4096)])
def test_matmul_fits_and_uses_wgmma_whatever_the_rows(
    rows: int, n: int, k: int, tmp_path: Path
) -> None:
    arguments = {**dict.fromkeys(("x", "w", "out"), BF16), "height": int}
    constants = matmul_options(rows, n, k, BF16)
    binary = compiled(matmul_kernel, arguments, constants, tmp_path)
    assert (0, 0) == (binary.stack, binary.local)
    assert binary.shared <= SHARED_MEMORY
    assert binary.count("wgmma.mma_async") > 0
    assert 0 == binary.count("mma.sync")


ROPE = dict.fromkeys(("qkv", "q_out", "keys", "values"), BF16)
STATES = dict.fromkeys(("maxima", "sums", "states"), torch.float32)
OTHERS: dict[str, tuple[Jitted, dict[str, Any], dict[str, Any]]] = {
    "rope_store": (
        rope_store_kernel,
        {
            **ROPE,
            **dict.fromkeys(("cos", "sin"), torch.float32),
            **dict.fromkeys(("positions", "slots"), torch.int64),
        },
        {"heads": 9, "kv_heads": 3, "page": 16, "half": 40, "half_block": 64}
        | {"head_block": 16},
    ),
    "fold": (
        fold_kernel,
        {
            **STATES,
            **dict.fromkeys(("items", "n_items"), torch.int32),
            "positions": torch.int64,
            "out": BF16,
        },
        {"heads": 32, "dim": 128, "dim_block": 128, "head_block": 8, "segment": 256},
    ),
    "add_norm": (
        add_norm_kernel,
        {
            **dict.fromkeys(("x", "residual", "weight", "normed"), BF16),
            "epsilon": float,
        },
        {"width": 4096, "block": 4096, "adds": True, "num_warps": 8},
    ),
    "swiglu": (
        swiglu_kernel,
        {"gate_up": BF16, "out": BF16},
        {"width": 14_336, "block": 1024},
    ),
    "sample": (
        sample_kernel,
        {
            **dict.fromkeys(("logits", "temperatures"), torch.float32),
            **dict.fromkeys(("seeds", "positions", "out"), torch.int64),
        },
        {"vocabulary": 49_152, "block": 2048, "num_warps": 8},
    ),
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_other_kernels_fit(name: str, tmp_path: Path) -> None:
    kernel, arguments, constants = OTHERS[name]
    constants = {**constants, "enable_fp_fusion": False}
    binary = compiled(kernel, arguments, constants, tmp_path)
    assert (0, 0) == (binary.stack, binary.local)
    assert binary.shared <= SHARED_MEMORY


def test_the_step_over_k_does_not_depend_on_the_number_of_rows() -> None:
    """Nor does the instruction: all tiles are as high as wgmma wants."""
    for dtype in (torch.float32, torch.float16, BF16):
        steps = {
            matmul_options(rows, 6144, 4096, dtype)["block_k"]
            for rows in (1, 63, 64, 65, 512, 8192)
        }
        assert 1 == len(steps)
