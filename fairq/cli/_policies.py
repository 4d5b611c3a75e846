"""The policies that the command line knows by name."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from fairq.disciplines import Discipline, Fcfs, Vtc
from fairq.errors import UsageError
from fairq.policy import Admission, Policy


def _fcfs(_slack: float) -> Discipline:
    return Fcfs()


DISCIPLINES: Final[Mapping[str, Callable[[float], Discipline]]] = {
    "vtc": Vtc,
    "fcfs": _fcfs,
}
"""By name; each is made from the slack of the gate, which those without one ignore."""


def policy(
    name: str,
    *,
    slack: float = 0.0,
    weights: Mapping[str, float] | None = None,
    admission: Admission = Admission.OPTIMISTIC,
) -> Policy:
    """A policy for a replay: nobody is turned away because a queue is long.

    Raises:
        UsageError: a weight or the slack is out of its bounds.
    """
    return Policy(
        discipline=DISCIPLINES[name](slack),
        weights=weights or {},
        admission=admission,
        max_waiting=None,
        max_waiting_per_tenant=None,
    )


def check_names(names: Sequence[str], slack: float | None) -> None:
    """Refuse a policy given twice, and a slack that no policy would use.

    Raises:
        UsageError: either of the two.
    """
    for name in names:
        if names.count(name) > 1:
            msg = f"--policy: expected each policy once, got {name!r} twice."
            raise UsageError(msg)
    if slack is not None and "vtc" not in names:
        msg = (
            f"--slack: only vtc has a gate, got --slack {slack:g} with "
            f"{', '.join(names)}. Add --policy vtc, or drop --slack."
        )
        raise UsageError(msg)
