"""A planted bug: one function of the kernel with a few characters changed.

A bug is written as text that is replaced in the source of a function, so that it reads
like the line of a patch, and fails loudly once the kernel has changed. The function is
compiled again and gets the new code: it stays the same object, so everybody who holds
it, under whatever name, runs the bug.
"""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType

import attrs

Target = Callable[..., object] | property
"""A function, a method or a property of the kernel."""


@attrs.frozen
class Edit:
    """Text that is replaced in a function: old and new, in pairs."""

    target: Target
    changes: tuple[tuple[str, str], ...]

    def function(self) -> FunctionType:
        """What is changed."""
        target = self.target
        function = target.fget if isinstance(target, property) else target
        assert isinstance(function, FunctionType)
        return function

    def code(self) -> CodeType:
        """The function, changed and compiled."""
        function = self.function()
        source = textwrap.dedent(inspect.getsource(function))
        for old, new in self.changes:
            assert source.count(old) == 1, f"{function.__qualname__}: {old!r}"
            source = source.replace(old, new)
        module = compile(source, f"<{function.__qualname__}, changed>", "exec")
        codes = [each for each in module.co_consts if isinstance(each, CodeType)]
        return next(code for code in codes if code.co_name == function.__name__)


def edit(target: Target, *changes: str) -> Edit:
    """An edit of old, new, old, new, ..."""
    pairs = zip(changes[::2], changes[1::2], strict=True)
    return Edit(target, tuple(pairs))


@attrs.frozen
class Mutant:
    """A kernel with one bug."""

    name: str
    breaks: str
    """What is wrong with it, in one sentence."""
    edits: tuple[Edit, ...]

    @property
    def modules(self) -> list[str]:
        """The modules that are changed."""
        return [each.function().__module__ for each in self.edits]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """In here every kernel has the bug."""
        functions = [each.function() for each in self.edits]
        codes = [each.code() for each in self.edits]
        before = [function.__code__ for function in functions]
        try:
            for function, code in zip(functions, codes, strict=True):
                function.__code__ = code
            yield
        finally:
            for function, code in zip(functions, before, strict=True):
                function.__code__ = code


def mutant(name: str, breaks: str, *edits: Edit) -> Mutant:
    """A mutant of some edits."""
    return Mutant(name, breaks, edits)
