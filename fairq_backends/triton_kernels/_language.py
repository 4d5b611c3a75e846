"""The one place that imports Triton, so that the package can be imported without it.

Kernels are decorated with ``jit``. Where Triton is missing that gives a stand-in that
raises ``TritonMissingError`` when it is launched, and not before: the plain Torch
references stand in the same files and stay usable.
"""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from fairq_backends.triton_kernels._errors import TritonMissingError

__all__ = ["Kernel", "Pointer", "Scalar", "constexpr", "interpreting", "jit", "tl"]


class Kernel(Protocol):
    """A compiled function: launched as ``kernel[grid](...)``, or called by another."""

    def __getitem__(self, grid: tuple[int, ...], /) -> Callable[..., object]:
        """What launches the kernel on a grid."""
        ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # traced, not typed
        """Inline the function; only other kernels do this."""
        ...


class _MissingKernel:
    """Stands in for a kernel where Triton is not installed."""

    def __init__(self, name: str, cause: str) -> None:
        self._name = name
        self._cause = cause

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., object]:
        raise TritonMissingError(self._name, self._cause)

    def __call__(self, *_args: object, **_kwargs: object) -> object:
        raise TritonMissingError(self._name, self._cause)


triton: Any
_cause = ""
try:
    triton = importlib.import_module("triton")
except ImportError as error:
    triton, _cause = None, str(error)

if TYPE_CHECKING:
    tl: Any
    constexpr: TypeAlias = Any  # noqa: PYI042  # what Triton calls it
    """An argument that is known while compiling."""
    Pointer: TypeAlias = Any
    """An argument that is a tensor in the caller, an address in the kernel."""
    Scalar: TypeAlias = Any
    """An argument that is a number or a block of numbers."""
elif triton is None:
    tl = None
    constexpr = Pointer = Scalar = Any
else:
    tl = triton.language
    constexpr = tl.constexpr
    Pointer = Scalar = tl.tensor  # the compiler looks annotations up, and is picky


NOT_SPECIALISED: Final = ("height", "table_stride")
"""Names of arguments for whose values no binary of their own is made."""


def jit(function: Callable[..., object]) -> Kernel:
    """Compile a function for the GPU on its first launch, once for each set of types.

    Triton would compile integers that are 1 or divisible by 16 apart. Those of
    ``NOT_SPECIALISED`` change with the batch: one binary must serve all values.
    """
    if triton is None:
        return _MissingKernel(function.__name__, _cause)
    kernel: Kernel = triton.jit(function, do_not_specialize=NOT_SPECIALISED)
    return kernel


def interpreting() -> bool:
    """True if kernels run in Triton's interpreter, on the CPU (TRITON_INTERPRET=1)."""
    return triton is not None and bool(triton.knobs.runtime.interpret)
