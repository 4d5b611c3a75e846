"""The run of a backend as text: a scenario, and above it what no kernel knows.

A kernel does not know how slots and blocks were called before the backend, nor what
was tried. That stands in comments, so that the text is a scenario for everybody else.
"""

from pathlib import Path
from typing import Final

import attrs

from fairq._closest import did_you_mean
from fairq.backend import Capacity
from fairq.errors import UsageError
from fairq.testing._backend import _obligations as owed
from fairq.testing._backend._arguments import WHO
from fairq.testing._obligations import Obligation
from fairq.testing._transcript._calls import Fail
from fairq.testing._transcript._commands import answers
from fairq.testing._transcript._journal import Journal
from fairq.testing._transcript._play import read_scenario, record

TRIED: Final = "# trial: "
DOWN: Final = "# slots and blocks count down"
UNSAID: Final = "# sampling is left out"
SITUATIONS: Final = {
    each.name: each
    for each in (
        *(owed.EXECUTED, owed.REPEATED, owed.CLOSED, owed.CHUNKED, owed.LEAVE_FIRST),
        *(owed.BATCHED, owed.DRAINED, owed.PREEMPTED, owed.CANCELLED, owed.FULL),
        *(owed.REUSED, owed.ANSWERED, owed.FAILED, owed.SHARED),
    )
}
"""By name, what is broken if the backend raises, or says other tokens than alone."""


@attrs.frozen(kw_only=True)
class Heading:
    """What is written above the run."""

    trial: Obligation
    """What is broken if the backend raises, or says other tokens than alone."""
    mirrored: bool = False
    """Whether slots and blocks are named from the top of the pool."""
    sampling: bool = False
    """Whether a request had ``sampling``, which no scenario has."""

    def __str__(self) -> str:
        lines = [f"{TRIED}{self.trial.name}"]
        lines += [DOWN] * self.mirrored + [UNSAID] * self.sampling
        return "".join(f"{line}\n" for line in lines)


@attrs.frozen
class Script:
    """A run to be done again, with a backend."""

    heading: Heading
    journal: Journal

    @property
    def fails(self) -> bool:
        """Whether it makes a step fail."""
        return _fails(self.journal)

    def check(self, capacity: Capacity, who: str) -> None:
        """See that the backend is large enough for it.

        Raises:
            UsageError: it is not.
        """
        told = self.journal.capacity
        enough = (
            told.block_size == capacity.block_size
            and told.blocks <= capacity.blocks
            and told.max_sequences <= capacity.max_sequences
            and told.tokens_per_step <= capacity.tokens_per_step
            and told.prefix_cache <= capacity.prefix_cache
        )
        if not enough:
            expected = f"a kernel that fits into the {capacity} of {who}"
            msg = f"{WHO}: scenario must have {expected}; got {told}."
            raise UsageError(msg)


def read_script(scenario: str | Path) -> Script:
    """The run that a file or a text says.

    Raises:
        UsageError: it cannot be read, or has more than one kernel, or none.
        OSError: the file cannot be read.
    """
    _, text = read_scenario(WHO, scenario)
    lines = text.splitlines()
    kernels = sum(line.split()[:1] == ["kernel"] for line in lines)
    if kernels > 1:
        msg = f"{WHO}: scenario must have one kernel; got {kernels}."
        raise UsageError(msg)
    journal = record(text)
    usual = owed.FAILED if _fails(journal) else owed.BATCHED
    named = [_trial(line) for line in lines if line.startswith(TRIED)]
    return Script(
        Heading(
            trial=[usual, *named][-1], mirrored=DOWN in lines, sampling=UNSAID in lines
        ),
        journal,
    )


def _trial(line: str) -> Obligation:
    name = line.removeprefix(TRIED).strip()
    if name not in SITUATIONS:
        expected = f"one of {', '.join(SITUATIONS)}"
        hint = did_you_mean(name, SITUATIONS)
        msg = f"{WHO}: the trial of a scenario must be {expected}; got {name!r}.{hint}"
        raise UsageError(msg)
    return SITUATIONS[name]


def _fails(journal: Journal) -> bool:
    return any(isinstance(each.call, Fail) and answers(each) for each in journal.calls)
