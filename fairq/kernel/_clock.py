"""The kernel's only notion of time: how many steps have been committed."""

import attrs


@attrs.define(eq=False)
class StepClock:
    """A counter of committed steps, shared by everything that counts in steps."""

    tick: int = 0
