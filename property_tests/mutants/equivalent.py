"""Changes that look like bugs and are none: why nobody can find them.

They count for nothing. They stand here because whoever tries to plant bugs will think
of them again.
"""

from typing import Final

from fairq.kernel._admission import Optimistic
from fairq.kernel._heap import LazyHeap
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._planner import Planner
from property_tests.mutants.patch import Mutant, edit, mutant

EQUIVALENTS: Final[tuple[Mutant, ...]] = (
    mutant(
        "the newest prompt goes on first",
        "A prompt that is not done takes the rest of the budget, so nobody else begins "
        "one: there is never more than one to choose from.",
        edit(
            Planner._continue_prompts,
            "self._life.batch.prefilling.values()",
            "reversed(self._life.batch.prefilling.values())",
        ),
    ),
    mutant(
        "a victim remembers how much was computed",
        "Admitting it sets that anew, and nobody asks while it waits.",
        edit(Lifecycle.preempt, "sequence.computed = 0", "pass"),
    ),
    mutant(
        "a missing block is not seen before the forecast",
        "The growth that is forecast is never below 0 blocks and is compared with what "
        "is free then, which is below 0; and who is alone fits always.",
        edit(Optimistic.fits, "if free < 0:", "if free < -1:"),
    ),
    mutant(
        "stale entries are looked at",
        "A stale entry that comes to the top is renewed like any other, so what is "
        "found is the minimum all the same.",
        edit(
            LazyHeap.top,
            "self._current.get(item) != number",
            "item not in self._current",
        ),
    ),
)
