"""What ``check_backend`` is told, looked at before anything is made."""

from collections.abc import Sequence
from typing import Final, NoReturn, cast

import anyio
import attrs
from hypothesis import strategies as st

from fairq._closest import did_you_mean
from fairq._validators import is_finite, is_integer
from fairq.errors import UsageError
from fairq.request import Request

WHO: Final = "check_backend"
LOOPS: Final = ("asyncio", "trio")
DEADLINE_S: Final = 30.0


@attrs.frozen(kw_only=True)
class Arguments:
    """The arguments as they came, of whatever type."""

    factory: object
    requests: object
    deterministic: object
    provoke: object
    examples: object
    loops: object
    deadline_s: object

    def check(self) -> None:
        """Refuse what is out of its bounds.

        Raises:
            UsageError: it is; the message says what was expected and what came.
        """
        if not callable(self.factory):
            expected = "something callable that makes a backend, such as its class"
            refuse("factory", expected, self.factory)
        if not isinstance(self.requests, st.SearchStrategy | None):
            expected = "a Hypothesis strategy of Request, or None"
            refuse("requests", expected, self.requests)
        if not isinstance(self.deterministic, bool):
            refuse("deterministic", "True or False", self.deterministic)
        if self.provoke is not None and not callable(self.provoke):
            expected = "something callable that takes a backend, or None"
            refuse("provoke", expected, self.provoke)
        if not is_integer(self.examples) or cast("int", self.examples) < 1:
            refuse("examples", "an integer >= 1", self.examples)
        self._check_loops()
        if not is_finite(self.deadline_s) or cast("float", self.deadline_s) <= 0:
            refuse("deadline_s", "a finite number > 0 (seconds)", self.deadline_s)

    def _check_loops(self) -> None:
        known = anyio.get_all_backends()
        expected = f"a sequence of names, each one of {', '.join(known)}"
        if isinstance(self.loops, str) or not isinstance(self.loops, Sequence):
            refuse("loops", expected, self.loops)
        for loop in self.loops:
            if loop not in known:
                hint = did_you_mean(loop, known) if isinstance(loop, str) else ""
                refuse("loops", expected, loop, hint)

    def again(self) -> str:
        """The call that plays a scenario with the same options."""
        said = [_named(self.factory, "factory")]
        if not self.deterministic:
            said.append("deterministic=False")
        if self.provoke is not None:
            said.append(f"provoke={_named(self.provoke, 'provoke')}")
        if tuple(cast("Sequence[str]", self.loops)) != LOOPS:
            said.append(f"loops={self.loops!r}")
        if self.deadline_s != DEADLINE_S:
            said.append(f"deadline_s={self.deadline_s!r}")
        said.append('scenario=Path("bug.txt")')
        return f"{WHO}({', '.join(said)})"


def _named(function: object, usual: str) -> str:
    name = str(getattr(function, "__name__", usual))
    return name if name.isidentifier() else usual


def asked(given: object) -> Request:
    """What ``requests`` has drawn, if it is a request.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(given, Request):
        refuse("requests", "a strategy that draws a Request", given)
    return given


def refuse(name: str, expected: str, got: object, hint: str = "") -> NoReturn:
    """Say what an argument must be.

    Raises:
        UsageError: always.
    """
    msg = f"{WHO}: {name} must be {expected}; got {got!r}.{hint}"
    raise UsageError(msg)
