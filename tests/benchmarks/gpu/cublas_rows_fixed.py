"""The same question to a cuBLAS that was told not to split sums.

Its process is started with variables that leave cuBLAS no workspace for that.
"""

import torch

from tests.benchmarks.gpu import cublas_rows
from tests.benchmarks.gpu.bench import Bench

__all__ = ["measure"]


def measure(bench: Bench) -> None:
    """As ``cublas_rows``."""
    if bench.device.type == "cuda":  # a Torch without CUDA refuses the first
        torch.backends.cuda.preferred_blas_library("cublaslt")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = (False, False)
    cublas_rows.measure(bench)
