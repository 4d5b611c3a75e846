"""What can go wrong before a kernel runs."""

from fairq import UsageError

__all__ = ["KernelUsageError", "TritonMissingError"]


class KernelUsageError(UsageError):
    """An argument of a kernel has the wrong shape, type, layout or device."""


class TritonMissingError(UsageError):
    """A kernel was called, but Triton cannot be imported."""

    def __init__(self, kernel: str, cause: str) -> None:
        super().__init__(
            f"the kernel {kernel} needs the package triton, which cannot be imported "
            f"({cause}); install it with: pip install 'triton>=3.6' (Linux only), or "
            f"use fairq_backends.triton_kernels.references, which need Torch alone"
        )
