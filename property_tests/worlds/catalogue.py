"""The worlds that are explored, by profile: each adds something the others lack."""

from typing import Final

from fairq import Admission
from property_tests.worlds.world import SmallWorld

RESERVE: Final = Admission.RESERVE

DEV: Final = (
    # Blocks run out, and members are preempted.
    SmallWorld(
        asks=(((1, 3),), ((1, 3),)), blocks=4, tokens=3, margin=0, cancels=1, failures=1
    ),
    # Blocks of two; a prompt is cut into chunks, and refunded.
    SmallWorld(
        asks=(((3, 2),), ((1, 2),)), blocks=3, block_size=2, tokens=2, cancels=1
    ),
    # Weights, a gate that is open a little, and promises.
    SmallWorld(
        asks=(((2, 2),), ((1, 2),), ((1, 1),)),
        blocks=3,
        weights=(2.0, 1.0, 0.5),
        slack=3.0,
        admission=RESERVE,
        cancels=0,
        stops=False,
    ),
    # First come, first served; a step may fail twice.
    SmallWorld(
        asks=(((1, 2),), ((2, 1),)),
        blocks=3,
        tokens=2,
        slack=None,
        cancels=1,
        failures=2,
        max_failures=1,
    ),
    # One at a time, so that two wait and the gap between them can be seen.
    SmallWorld(
        asks=(((1, 3), (1, 1)), ((2, 1),)),
        blocks=3,
        sequences=1,
        cancels=0,
        stops=False,
    ),
)
"""Seconds."""

CI: Final = (
    *DEV,
    # Three requests, blocks that do not suffice.
    SmallWorld(
        asks=(((1, 3), (2, 1)), ((1, 3),)),
        blocks=4,
        sequences=3,
        margin=0,
        cancels=1,
        failures=1,
    ),
    # One position a step.
    SmallWorld(asks=(((2, 2), (1, 2)), ((1, 2),)), blocks=3, tokens=1, cancels=1),
    # A tenant returns and is lifted; no refunds, so the bound is the narrow one.
    SmallWorld(
        asks=(((2, 3), (2, 1)), ((2, 3), (1, 1))),
        blocks=5,
        sequences=1,
        weights=(1.0, 2.0, 1.0),
        cancels=0,
        stops=False,
    ),
    # Three tenants, and one that passes another.
    SmallWorld(
        asks=(((3, 1),), ((1, 2),), ((1, 2),)),
        blocks=4,
        block_size=1,
        weights=(1.0, 2.0, 4.0),
        slack=2.0,
        admission=RESERVE,
        cancels=1,
    ),
)
"""A minute."""

DEEP: Final = (
    *CI,
    SmallWorld(
        asks=(((1, 3), (2, 2)), ((1, 3),), ((1, 2),)),
        blocks=4,
        sequences=2,
        tokens=3,
        weights=(1.0, 2.0, 1.0),
        margin=0,
        cancels=2,
    ),
    SmallWorld(
        asks=(((1, 3), (3, 1)), ((2, 2), (1, 2))),
        blocks=3,
        block_size=2,
        sequences=3,
        tokens=2,
        margin=0,
        cancels=1,
        failures=2,
        max_failures=1,
    ),
    SmallWorld(
        asks=(((2, 2), (1, 2)), ((1, 3),), ((2, 1),)),
        blocks=5,
        sequences=3,
        weights=(1.0, 2.0, 4.0),
        slack=4.0,
        admission=RESERVE,
        cancels=2,
    ),
    SmallWorld(
        asks=(((1, 3), (1, 2)), ((1, 3), (2, 2))),
        blocks=4,
        sequences=3,
        slack=None,
        margin=0,
        cancels=2,
        failures=1,
    ),
    SmallWorld(
        asks=(((1, 2), (2, 2)), ((2, 2),), ((1, 2),)),
        blocks=3,
        sequences=1,
        tokens=1,
        weights=(1.0, 2.0, 4.0),
    ),
    SmallWorld(
        asks=(((1, 3), (2, 2), (1, 1)), ((3, 3),)),
        blocks=6,
        sequences=2,
        slack=2.0,
        margin=0,
    ),
    SmallWorld(
        asks=(((3, 2), (1, 3)), ((2, 3),)),
        blocks=3,
        block_size=2,
        sequences=2,
        tokens=2,
        admission=RESERVE,
        failures=2,
        max_failures=1,
    ),
    SmallWorld(
        asks=(((2, 2), (1, 3)), ((1, 3),), ((1, 2),)),
        blocks=5,
        sequences=3,
        slack=4.0,
        margin=0,
    ),
    SmallWorld(
        asks=(((1, 3), (2, 2)), ((2, 3), (1, 1))),
        blocks=3,
        block_size=2,
        sequences=2,
        tokens=3,
        slack=1.0,
        margin=0,
    ),
    SmallWorld(
        asks=(((1, 3), (2, 2)), ((1, 3),), ((1, 2),)),
        blocks=4,
        sequences=2,
        tokens=3,
        weights=(2.0, 1.0, 1.0),
        margin=0,
        cancels=2,
        failures=1,
    ),
    SmallWorld(
        asks=(((1, 3), (2, 2)), ((1, 3), (2, 1))),
        blocks=4,
        sequences=2,
        tokens=2,
        weights=(1.0, 2.0, 1.0),
        slack=2.0,
        margin=0,
        cancels=2,
        failures=2,
        max_failures=1,
    ),
)
"""An hour or less."""
