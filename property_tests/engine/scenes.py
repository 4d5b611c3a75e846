"""A few cases by hand, small enough to be played once for every suspension."""

from fairq import Capacity
from property_tests.engine.scripts import Manner, Reader
from property_tests.engine.stage import Case

READING = (Manner.ALL, Manner.COMPLETE, Manner.RESTS, Manner.IMPATIENT)
"""Who reads to the end, unless somebody interferes."""
KEEPING_UP = (Manner.ALL, Manner.COMPLETE)
"""Whom even a buffer of two tokens is enough."""


def reader(
    manner: Manner, max_tokens: int, *, after: int = 0, patience: int = 1
) -> Reader:
    return Reader(
        after=after,
        tenant=manner.name.lower(),
        prompt=(1, 2, max_tokens),
        max_tokens=max_tokens,
        stops_at=None,
        manner=manner,
        patience=patience,
    )


EVERYBODY_READS = Case(
    [
        reader(Manner.ALL, 4),
        reader(Manner.COMPLETE, 3, after=1),
        reader(Manner.RESTS, 3, patience=2),
        reader(Manner.IMPATIENT, 3, after=5, patience=3),
    ]
)
"""Two run while two wait; the last comes when the others are under way."""

SOMEBODY_LEAVES = Case(
    [
        reader(Manner.COMPLETE, 4),
        reader(Manner.LEAVES, 6, patience=1),
        reader(Manner.DEADLINE, 6, after=1, patience=5),
        reader(Manner.ALL, 3, after=2),
    ],
    capacity=Capacity(blocks=6, block_size=2, max_sequences=3, tokens_per_step=4),
)
"""Blocks run out, and are given back early."""

SOMEBODY_IS_SLOW = Case(
    [
        reader(Manner.ALL, 5),
        reader(Manner.NEVER, 5),
        reader(Manner.RESTS, 5, patience=6),
        reader(Manner.COMPLETE, 4, after=2),
    ],
    capacity=Capacity(blocks=20, block_size=2, max_sequences=4, tokens_per_step=6),
    buffer=2,
)
"""A buffer of two tokens, one reader that never reads and one that reads late."""

STEPS_FAIL = Case(
    [
        reader(Manner.ALL, 4),
        reader(Manner.COMPLETE, 3),
        reader(Manner.RESTS, 3, after=2, patience=2),
    ],
    faults=[None, "raises", "answers with None", None, "a token too many"],
    max_failures=1,
)
"""Requests are given up while others run on."""

SCENES = {
    "everybody reads": EVERYBODY_READS,
    "somebody leaves": SOMEBODY_LEAVES,
    "somebody is slow": SOMEBODY_IS_SLOW,
    "steps fail": STEPS_FAIL,
}
