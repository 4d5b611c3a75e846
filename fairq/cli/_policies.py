"""The policies that the command line knows by name."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import attrs

from fairq.disciplines import Discipline, Dlpm, Fcfs, Lpm, Vtc
from fairq.errors import UsageError
from fairq.order import Order
from fairq.policy import Admission, Policy
from fairq.prefix_cache import PrefixCache

GATE: Final = 200_000.0
"""Service units per unit of weight: some ten long prompts. What it buys and costs is
measured in docs/locality.md."""
WIDTH: Final = re.compile(r"[0-9.]+(e[-+]?[0-9]+)?")


@attrs.frozen
class Kind:
    """What stands before the colon of a name, or is all of it."""

    make: Callable[[float], Discipline]
    """From the width of the gate; those without one ignore it."""
    order: Order = Order.FIFO
    """Inside the gate, unless told otherwise."""
    widths: bool = False
    """Whether its name has a width: ``dlpm:2000``."""
    usual: float | None = None
    """The width if the name has none; None where it must have one."""


KINDS: Final[Mapping[str, Kind]] = {
    "vtc": Kind(Vtc),
    "fcfs": Kind(lambda _: Fcfs()),
    "lpm": Kind(lambda _: Lpm(), Order.PREFIX),
    "dlpm": Kind(Dlpm, Order.PREFIX, widths=True),
    "gate": Kind(Vtc, Order.PREFIX, widths=True, usual=GATE),
}

FORMS: Final = ("vtc", "fcfs", "lpm", "dlpm:Q", "gate", "gate:Q")
"""As a user writes them."""


@attrs.frozen
class Choice:
    """A policy as it was given: ``vtc``, ``gate:2000``."""

    name: str = attrs.field(eq=False)
    kind: str
    width: float = 0.0
    """In service units per unit of weight."""


@attrs.frozen(kw_only=True)
class Rules:
    """What all policies of a command have in common."""

    weights: Mapping[str, float] = attrs.field(factory=dict)
    admission: Admission = Admission.OPTIMISTIC
    order: Order | None = None
    """Inside the gate; None for what the policy's name implies."""
    prefix_cache: PrefixCache | None = None


NO_RULES: Final = Rules()


def choice(text: str) -> Choice | None:
    """A policy by its name; None if it is none."""
    kind, colon, width = text.partition(":")
    if kind not in KINDS or (colon and not KINDS[kind].widths):
        return None
    if not colon:
        return _usual(text, KINDS[kind])
    value = _number(width)
    return Choice(text, kind, value) if math.isfinite(value) else None


def _usual(name: str, kind: Kind) -> Choice | None:
    if kind.widths and kind.usual is None:
        return None
    return Choice(name, name, kind.usual or 0.0)


def _number(text: str) -> float:
    # float() takes "1_000" and " 7" too, which would be odd names of files.
    try:
        return float(text) if WIDTH.fullmatch(text) else math.nan
    except ValueError:
        return math.nan


def policy(name: str, *, slack: float = 0.0, rules: Rules = NO_RULES) -> Policy:
    """A policy for a replay: nobody is turned away because a queue is long.

    Args:
        name: As ``choice`` takes it.
        slack: Width of the gate of one that has none in its name.
        rules: The rest.

    Raises:
        UsageError: a weight or the slack is out of its bounds.
    """
    chosen = choice(name)
    assert chosen is not None  # noqa: S101  # the parser refused it, or we wrote it
    kind = KINDS[chosen.kind]
    return Policy(
        discipline=kind.make(chosen.width if kind.widths else slack),
        weights=rules.weights,
        admission=rules.admission,
        order=rules.order or kind.order,
        prefix_cache=rules.prefix_cache,
        max_waiting=None,
        max_waiting_per_tenant=None,
    )


def check_choices(choices: Sequence[Choice], slack: float | None) -> None:
    """Refuse a policy given twice, and a slack that no policy would use.

    Raises:
        UsageError: either of the two.
    """
    for chosen in choices:
        if choices.count(chosen) > 1:
            msg = f"--policy: expected each policy once, got {chosen.name!r} twice."
            raise UsageError(msg)
    if slack is not None and all(chosen.kind != "vtc" for chosen in choices):
        names = ", ".join(chosen.name for chosen in choices)
        msg = (
            f"--slack: only vtc has a gate, got --slack {slack:g} with {names}. Add "
            f"--policy vtc, or drop --slack; gate:Q and dlpm:Q have theirs in the name."
        )
        raise UsageError(msg)
