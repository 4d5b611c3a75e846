"""Wrong arguments, no GPU, no Triton: each is said in words, before anything runs."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fairq import FairqError
from fairq_backends.triton_kernels import (
    KernelUsageError,
    add_norm,
    attend_partial,
    attend_prefill,
    fold,
    matmul,
    references,
    rope_store,
    sample,
    swiglu,
)


def ints(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int32)


def zeros(*shape: int) -> Tensor:
    return torch.zeros(shape)


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device is looked at early; here the other checks are of interest."""
    for name in (
        *("_attention_check", "_fold", "_rope_store", "_add_norm", "_swiglu"),
        *("_matmul", "_sample"),
    ):
        module = f"fairq_backends.triton_kernels.{name}"
        monkeypatch.setattr(f"{module}.check_device", lambda *_: None)


PREFILL: dict[str, Any] = {
    "q": zeros(2, 4, 64),
    "keys": zeros(3, 2, 16, 64),
    "values": zeros(3, 2, 16, 64),
    "tables": ints(1, 3),
    "items": ints(1, 4),
    "n_items": ints(1),
    "out": zeros(2, 4, 64),
}
STATES = {"maxima": zeros(2, 4), "sums": zeros(2, 4), "states": zeros(2, 4, 64)}
PARTIAL: dict[str, Any] = {
    **{name: it for name, it in PREFILL.items() if name != "out"},
    **STATES,
    "positions": ints(2),
    "members": ints(2, 2),
}
FOLD: dict[str, Any] = {
    **STATES,
    "positions": ints(2),
    "items": ints(1, 3),
    "n_items": ints(1),
    "out": zeros(2, 4, 64),
}
ROPE: dict[str, Any] = {
    "qkv": zeros(2, 8 * 64),
    "cos": zeros(9, 32),
    "sin": zeros(9, 32),
    "positions": ints(2),
    "slots": ints(2).long(),
    "q_out": zeros(2, 4, 64),
    "keys": zeros(3, 2, 16, 64),
    "values": zeros(3, 2, 16, 64),
}
SAMPLE: dict[str, Any] = {
    "logits": zeros(2, 9),
    "temperatures": zeros(2),
    "seeds": ints(2).long(),
    "positions": ints(2),
}
NORM: dict[str, Any] = {"x": zeros(2, 8), "residual": None, "weight": zeros(8)}
CASES: list[tuple[Callable[..., object], dict[str, Any], str, Any, str]] = [
    (attend_prefill, PREFILL, "q", zeros(2, 64), "q: expected the shape"),
    (
        attend_prefill,
        PREFILL,
        "q",
        zeros(2, 3, 64),
        "a number of KV heads that divides 3",
    ),
    (
        attend_prefill,
        PREFILL,
        "q",
        zeros(2, 4, 64).double(),
        "q: expected one of the types",
    ),
    (
        attend_prefill,
        PREFILL,
        "keys",
        zeros(3, 2, 16, 32),
        "values: expected the shape",
    ),
    (
        attend_prefill,
        PREFILL,
        "values",
        zeros(3, 2, 16, 64).half(),
        "values: expected one",
    ),
    (
        attend_prefill,
        PREFILL,
        "tables",
        zeros(1, 3),
        "tables: expected one of the types",
    ),
    (attend_prefill, PREFILL, "items", ints(1, 3), "items: expected the shape"),
    (attend_prefill, PREFILL, "items", ints(4, 2).T, "items: expected a contiguous"),
    (
        attend_prefill,
        PREFILL,
        "items",
        ints(4, 1).expand(4, 4),
        "call .contiguous() first",
    ),
    (attend_prefill, PREFILL, "n_items", ints(2), "n_items: expected the shape"),
    (attend_prefill, PREFILL, "out", zeros(3, 4, 64), "out: expected the shape"),
    (
        attend_prefill,
        PREFILL,
        "program_rows",
        32,
        "expected one of (16, 64, 128), got 32",
    ),
    (attend_prefill, PREFILL, "tile", 48, "got 256, 48"),
    (attend_prefill, PREFILL, "tile", 8, "got 256, 8"),
    (attend_prefill, PREFILL, "segment", 100, "got 100, 16"),
    (attend_prefill, PREFILL, "segment", 0, "got 0, 16"),
    (
        attend_partial,
        PARTIAL,
        "positions",
        ints(3),
        "positions: expected the shape (2,)",
    ),
    (attend_partial, PARTIAL, "members", ints(2), "members: expected the shape"),
    (attend_partial, PARTIAL, "items", ints(1, 4).long(), "items: expected one of"),
    (attend_partial, PARTIAL, "states", zeros(2, 4, 32), "states: expected the shape"),
    (attend_partial, PARTIAL, "sums", zeros(3, 4), "sums: expected the shape"),
    (attend_partial, PARTIAL, "maxima", zeros(2, 4).half(), "maxima: expected one of"),
    (fold, FOLD, "items", ints(1, 4), "items: expected the shape"),
    (fold, FOLD, "states", zeros(2, 5, 64), "states: expected the shape"),
    (fold, FOLD, "positions", ints(3), "positions: expected the shape"),
    (rope_store, ROPE, "qkv", zeros(2, 7 * 64), "qkv: expected the shape (2, 512)"),
    (rope_store, ROPE, "cos", zeros(9, 64), "cos: expected the shape"),
    (rope_store, ROPE, "sin", zeros(8, 32), "sin: expected the shape (9, 32)"),
    (
        rope_store,
        ROPE,
        "slots",
        ints(2),
        "slots: expected one of the types torch.int64",
    ),
    (rope_store, ROPE, "q_out", zeros(2, 4, 63), "keys: expected the even head_dim 63"),
    (sample, SAMPLE, "seeds", ints(2), "seeds: expected one of the types"),
    (sample, SAMPLE, "temperatures", zeros(3), "temperatures: expected the shape (2,)"),
    (
        add_norm,
        {**NORM, "epsilon": 1e-5},
        "weight",
        zeros(9),
        "weight: expected the shape",
    ),
    (
        add_norm,
        {**NORM, "epsilon": 1e-5},
        "residual",
        zeros(3, 8),
        "residual: expected",
    ),
    (matmul, {"x": zeros(2, 8)}, "w", zeros(3, 9), "w: expected the shape ('any', 8)"),
    (
        matmul,
        {"x": zeros(2, 8)},
        "w",
        zeros(3, 8).half(),
        "w: expected one of the types",
    ),
    (swiglu, {}, "gate_up", zeros(2, 7), "expected an even width, got 7"),
]


@pytest.mark.parametrize(
    ("kernel", "given", "name", "wrong", "message"),
    CASES,
    ids=[f"{case[0].__name__}-{case[2]}-{i}" for i, case in enumerate(CASES)],
)
def test_a_wrong_argument_is_named(
    kernel: Callable[..., object],
    given: dict[str, Any],
    name: str,
    wrong: object,
    message: str,
) -> None:
    with pytest.raises(KernelUsageError, match=re.escape(message)):
        kernel(**{**given, name: wrong})


def test_fewer_rows_than_query_heads_of_a_kv_head_are_refused() -> None:
    q = zeros(2, 40, 64)
    with pytest.raises(KernelUsageError, match=r"at least G = 20 .* got 16"):
        attend_prefill(**{**PREFILL, "q": q, "out": q, "program_rows": 16})


def test_errors_are_those_of_fairq() -> None:
    assert issubclass(KernelUsageError, FairqError)


def python(code: str) -> str:
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_without_a_gpu_the_message_says_what_to_do() -> None:
    printed = python(
        "import torch\n"
        "from fairq_backends.triton_kernels import KernelUsageError, swiglu\n"
        "try: swiglu(torch.zeros(1, 2))\n"
        "except KernelUsageError as error: print(error)\n"
    )
    assert "gate_up: expected a tensor on a CUDA device, got one on cpu" in printed
    assert "TRITON_INTERPRET=1" in printed


def test_without_triton_references_work_and_kernels_say_how_to_install_it() -> None:
    printed = python(
        "import sys\n"
        "sys.modules['triton'] = None\n"
        "import torch\n"
        "from fairq_backends.triton_kernels import TritonMissingError, swiglu\n"
        "from fairq_backends.triton_kernels import references\n"
        "print(references.swiglu(torch.zeros(1, 2)).tolist())\n"
        "try: swiglu(torch.zeros(1, 2))\n"
        "except TritonMissingError as error: print(error)\n"
    )
    assert printed.startswith("[[0.0]]\n")
    assert "the kernel swiglu_kernel needs the package triton" in printed
    assert "pip install 'triton>=3.6'" in printed


def test_every_kernel_has_a_reference() -> None:
    kernels = {
        add_norm, attend_partial, attend_prefill, fold, matmul, rope_store, sample,
        swiglu,
    }  # fmt: skip
    assert {kernel.__name__ for kernel in kernels} == set(references.__all__)
