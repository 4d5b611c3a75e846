"""A journal, played to a kernel again: the same calls must have the same outcomes."""

from fairq._validators import check_type
from fairq.kernel import Kernel
from fairq.testing._transcript._calls import Noted, Outcome, exact, performed, told
from fairq.testing._transcript._journal import Journal


class ReplayDiverged(AssertionError):
    """A call had another outcome than the journal says.

    Attributes:
        index: The call, counted from 0.
        noted: The call and the outcome in the journal.
        actual: What came of it now.
    """

    def __init__(self, index: int, noted: Noted, actual: Outcome) -> None:
        expected, got = _said(noted.outcome), _said(actual)
        if expected == got:
            # They differ in what a transcript leaves out: tokens, slots, order.
            expected, got = repr(exact(noted.outcome)), repr(exact(actual))
        super().__init__(
            f"Call {index}, {str(noted.call)!r}, had another outcome.\n"
            f"expected: {expected}\n"
            f"     got: {got}"
        )
        self.index = index
        self.noted = noted
        self.actual = actual


def _said(outcome: Outcome) -> str:
    return "\n          ".join(told(outcome))


def replay(journal: Journal, kernel: Kernel | None = None) -> Kernel:
    """Make the calls of a journal again, and compare every outcome.

    Plans are compared whole: ids, blocks, slots, tokens and order. Costs what the
    calls cost.

        kernel = replay(pickle.loads(path.read_bytes()))

    Args:
        journal: What is to be done, and what must come of it.
        kernel: Who does it; a fresh ``Kernel(journal.capacity, journal.policy)`` when
            left out. Pass one to go on where another journal ended.

    Returns:
        The kernel, after the last call.

    Raises:
        ReplayDiverged: an outcome differs; it names the first such call.
        UsageError: an argument is of a wrong type.
    """
    check_type(journal, Journal, "replay: journal")
    if kernel is None:
        kernel = Kernel(journal.capacity, journal.policy)
    check_type(kernel, Kernel, "replay: kernel")
    for index, noted in enumerate(journal.calls):
        actual = performed(noted.call, kernel)
        if exact(noted.outcome) != exact(actual):
            raise ReplayDiverged(index, noted, actual)
    return kernel
