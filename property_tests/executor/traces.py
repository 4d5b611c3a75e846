"""Whole worlds to serve: a model, the sizes of a server, and requests."""

from collections import Counter
from random import Random  # noqa: TID251  # passed in, seeded by the test
from typing import Final

import attrs

from fairq_backends.sampling import SamplingParams
from property_tests.executor.driver import Driver, differing
from property_tests.executor.faulty import Faulty
from property_tests.executor.models import SHAPES, Asked, half_shared, model_of
from property_tests.executor.solo import solo_of

SEGMENT: Final = 64
MOST_REQUESTS: Final = 5
MOST_TOKENS: Final = 6
LONGER: Final = 2
"""Times as many where requests are to get into one another's way."""
BLOCK_SIZES: Final = (1, 3, 16, 64, 128)


@attrs.frozen
class Trace:
    """Everything but the schedule, which is made up on the way."""

    shape: str
    dtype: str
    block_size: int
    blocks: int
    max_sequences: int
    tokens_per_step: int
    debug: bool
    requests: list[Asked]

    def backend(self, mode: str = "exact") -> Faulty:
        """A fresh one of these sizes."""
        return Faulty(
            model=model_of(self.shape),
            dtype=self.dtype,
            mode=mode,
            device="cpu",
            blocks=self.blocks,
            block_size=self.block_size,
            max_sequences=self.max_sequences,
            tokens_per_step=self.tokens_per_step,
            debug=self.debug,
            keep_logits=True,
        )

    def serve(self, random: Random, mode: str = "exact") -> tuple[list[int], Driver]:
        """Serve it; who got other bits than alone, and what happened."""
        driver = Driver(self.backend(mode), random)
        driver.serve(self.requests)
        driver.seen["sampled"] += sum(
            it.sampling.temperature > 0 for it in self.requests
        )
        solo = solo_of(self.shape, self.dtype)
        return differing(driver, self.requests, solo), driver


def trace(random: Random, dtype: str, count: int, *, debug: bool = False) -> Trace:
    """Make one up: a small pool, prompts that share their beginnings."""
    block_size = random.choice(BLOCK_SIZES)
    requests = [_asked(random, block_size) for _ in range(count)]
    least = max(_blocks(each, block_size) for each in requests)
    max_sequences = random.randint(1, MOST_REQUESTS)
    return Trace(
        shape=random.choice(list(SHAPES)),
        dtype=dtype,
        block_size=block_size,
        blocks=least + random.randint(0, 2 * least),
        max_sequences=max_sequences,
        tokens_per_step=random.choice([max_sequences, 7, 33, SEGMENT, 100, 400]),
        debug=debug,
        requests=requests,
    )


def tight(random: Random, made: Trace) -> Trace:
    """The same with tiny blocks: two can enter, but cannot both come to their end."""
    block_size = random.choice([1, 3])
    requests = [attrs.evolve(it, count=LONGER * it.count) for it in made.requests]
    needs = sorted(_blocks(each, block_size) for each in requests)
    starts = sorted(-(-len(each.prompt) // block_size) for each in requests)
    # Little more than the largest needs, if the others share its prefix; or if not.
    blocks = max(needs[-1], random.choice([0, sum(starts[-2:]) + 2]))
    return attrs.evolve(
        made,
        block_size=block_size,
        blocks=blocks,
        max_sequences=5,
        requests=requests,
    )


def _blocks(asked: Asked, block_size: int) -> int:
    return -(-(len(asked.prompt) + asked.count) // block_size)


def _asked(random: Random, block_size: int) -> Asked:
    edge = random.choice([1, block_size, SEGMENT, 2 * SEGMENT, random.randint(1, 40)])
    length = max(1, edge + random.randint(-1, 1))
    shared = random.choice([length, length, length - 1, length // 2, 0])
    return Asked(
        prompt=half_shared(shared, random.randint(1, 9), length),
        count=random.randint(1, MOST_TOKENS),
        sampling=_sampling(random),
    )


def _sampling(random: Random) -> SamplingParams:
    if random.random() < 0.5:
        return SamplingParams()
    return SamplingParams(
        temperature=random.choice([0.7, 1.0, 3.0]),
        top_k=random.choice([0, 0, 5]),
        top_p=random.choice([1.0, 0.9]),
        seed=random.randint(0, 99),
    )


def tally(into: Counter[str], driver: Driver) -> None:
    """Count a run for each kind of thing that happened in it."""
    into.update(kind for kind, count in driver.seen.items() if count)
