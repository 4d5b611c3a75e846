"""Jobs in the order of their times, with closed loops still closed."""

from collections.abc import Sequence

import attrs

from fairq.sim._values import Job


def in_order(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Sort jobs by ``arrival_s``, and let ``after`` name the same jobs as before.

    Equal times stay in the order given. Costs O(jobs * log(jobs)).
    """
    order = sorted(range(len(jobs)), key=lambda place: jobs[place].arrival_s)
    places = {old: new for new, old in enumerate(order)}
    return tuple(_moved(jobs[old], places) for old in order)


def _moved(job: Job, places: dict[int, int]) -> Job:
    if job.after is None or places[job.after] == job.after:
        return job
    return attrs.evolve(job, after=places[job.after])
