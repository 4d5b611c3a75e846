"""Exact mode: the logits of a request are those of its run alone, to the bit.

The schedules are as odd as the protocol allows: prompts cut anywhere, steps that fail,
preemptions, cancels, blocks that two sequences share or that somebody left behind.
``tests/backends/torch_paged/test_bits.py`` has the negative controls: fast mode, and
exact mode with a part of it taken out, fail this very check.
"""

from collections import Counter
from collections.abc import Callable
from random import Random  # noqa: TID251  # seeded by Hypothesis
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from property_tests.effort import part

KINDS: Final = {
    "cancel",
    "cut prompt",
    "failed step",
    "preemption",
    "prefix hit",
    "prompts and decodes together",
    "recompute",
    "sampled",
    "shared block",
}
KERNEL_KINDS: Final = {
    "another turn",
    "cancel",
    "failed hit",
    "failed step",
    "prefix hit",
    "preemption",
    "resumed from the cache",
    "shared prefix",
}
DTYPES: Final = st.sampled_from(["float32", "bfloat16", "float16"])
COUNTS: Final = st.integers(2, 5)
MORE: Final = st.integers(3, 6)
RARELY: Final = st.sampled_from([False, False, False, True])
SEEDS: Final = st.integers(0, 2**64 - 1)
"""Of the schedule. A seed, because what is drawn step by step repeats itself, and
rarely comes as far as a prefix hit."""


def test_no_schedule_changes_the_bits_of_a_request(
    record_property: Callable[[str, object], None],
) -> None:
    # Not above: collecting the other properties needs no torch.
    from property_tests.executor.traces import tally, trace

    seen: Counter[str] = Counter()

    @given(seed=SEEDS, dtype=DTYPES, count=COUNTS, debug=st.booleans())
    def check(*, seed: int, dtype: str, count: int, debug: bool) -> None:
        random = Random(seed)  # noqa: S311  # no secret
        others, driver = trace(random, dtype, count, debug=debug).serve(random)
        tally(seen, driver)
        assert [] == others

    check()
    record_property("runs in which it happened", dict(seen))
    assert KINDS == {kind for kind, count in seen.items() if count}, seen


def test_no_schedule_of_a_kernel_changes_the_bits_of_a_request(
    record_property: Callable[[str, object], None],
) -> None:
    from property_tests.executor.kernels import serve
    from property_tests.executor.traces import tight, trace

    seen: Counter[str] = Counter()

    @part(2)
    @given(seed=SEEDS, dtype=DTYPES, count=MORE, debug=RARELY)
    def check(*, seed: int, dtype: str, count: int, debug: bool) -> None:
        random = Random(seed)  # noqa: S311  # no secret
        small = tight(random, trace(random, dtype, count, debug=debug))
        others, happened = serve(small, random)
        seen.update(kind for kind, times in happened.items() if times)
        assert [] == others

    check()
    record_property("runs in which it happened", dict(seen))
    assert KERNEL_KINDS <= seen.keys(), seen
