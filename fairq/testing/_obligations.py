"""What a backend or a discipline owes, and the error that says which it broke."""

import sys
from collections.abc import Iterable
from typing import NoReturn

import attrs

from fairq.disciplines import Dlpm, Fcfs, Lpm, Vtc
from fairq.testing._transcript._journal import Journal

__all__ = ["Conformance", "Obligation", "ObligationBroken"]

SHOWN = 8
"""Most ids that a message lists."""


class ObligationBroken(AssertionError):
    """A backend or a discipline does not do what the rest of fairq relies on.

    The message says who broke what, what was expected, what came, and what to do. When
    a kernel was involved a note has the run as a scenario, and the call that plays it
    again.

    Attributes:
        obligation: What was broken.
        expected: What should have come.
        actual: What came.
    """

    def __init__(
        self, who: str, obligation: "Obligation", expected: str, actual: str
    ) -> None:
        self.obligation = obligation
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"{who} breaks an obligation: {obligation.rule}.\n"
            f"Expected: {expected}.\n"
            f"Got: {actual}.\n"
            f"What to do: {obligation.advice}"
        )


@attrs.frozen
class Obligation:
    """One thing that others rely on."""

    name: str
    """A word or two; what a report lists."""

    rule: str
    """What must hold, as a clause."""

    advice: str
    """What the author can do when it does not."""

    def broken(self, who: str, expected: object, actual: object) -> NoReturn:
        """Say that it was broken.

        Raises:
            ObligationBroken: always.
        """
        raise ObligationBroken(who, self, str(expected), str(actual))


@attrs.frozen(kw_only=True)
class Conformance:
    """What a check has done. It found nothing wrong, else it had raised."""

    name: str
    """Who was checked."""

    steps: int
    """Steps that were executed."""

    preemptions: int
    """How often a request lost its blocks in the generated and set runs."""

    cached_tokens: int = 0
    """Positions that were found in a prefix cache instead of computed."""

    not_checked: tuple[str, ...]
    """What could not be checked, and why; empty when everything was."""

    def __str__(self) -> str:
        missing = "".join(f"\n  not checked: {each}" for each in self.not_checked)
        done = f"{self.steps} steps, {self.preemptions} preemptions"
        cached = f", {self.cached_tokens} cached tokens" if self.cached_tokens else ""
        return f"{self.name} keeps its obligations ({done}{cached}).{missing}"

    def tell(self) -> None:
        """Print it, if something was not checked: that must not go unseen."""
        if self.not_checked:
            sys.stdout.write(f"{self}\n")


def some(things: Iterable[object]) -> str:
    """A list for a message: not too long, and never empty."""
    shown = list(things)
    if not shown:
        return "none"
    text = ", ".join(map(str, shown[:SHOWN]))
    return text if len(shown) <= SHOWN else f"{text} and {len(shown) - SHOWN} more"


def raised(error: BaseException) -> str:
    """An error for a message, on one line; the first, if it is a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def story(journal: Journal, again: str | None = None, heading: object = "") -> str:
    """A run for a note.

    Args:
        journal: The run.
        again: The call that plays it again; on a kernel alone when left out.
        heading: What stands above it.
    """
    head = "The run. Save it as bug.txt, and this plays it again:"
    call = _on_a_kernel(journal) if again is None else again
    return f"{head}\n    {call}\n\n{heading}{journal.scenario()}"


def _on_a_kernel(journal: Journal) -> str:
    own = type(journal.policy.discipline)
    known = own in (Vtc, Fcfs, Lpm, Dlpm)
    disciplines = "" if known else f", disciplines=[{own.__name__}()]"
    return f'check_scenario(Path("bug.txt"){disciplines})'
