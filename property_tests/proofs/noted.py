"""What was proved and refuted, for the table of ``python -m property_tests``."""

from property_tests.record import RECORD, Proof


def note(theorem: str, *refuted: str) -> None:
    """A theorem is proved or, where hypotheses are named, refuted without them."""
    known = RECORD.proofs.get(theorem, Proof(proved=False, refuted=()))
    proved = known.proved or not refuted
    names = dict.fromkeys((*known.refuted, *refuted))
    RECORD.proofs[theorem] = Proof(proved, tuple(names))
