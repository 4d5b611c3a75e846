"""The jobs of a trace, each when its time has come."""

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from typing import Final

import attrs

from fairq.sim._values import Job

NS: Final = 10**9


@attrs.frozen
class Live:
    """A job that has arrived."""

    index: int
    """In the trace."""
    arrival_ns: int
    job: Job

    @property
    def arrival_s(self) -> float:
        """As the trace says it; in a closed loop, as it came about."""
        return self.job.arrival_s if self.job.after is None else self.arrival_ns / NS


class Arrivals:
    """The jobs of a trace, in order of arrival, handed out once.

    Those of a closed loop come when the job before them is over, which ``ended`` says.
    Of equal times, the one that stands first in the trace goes first.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._following: dict[int, list[int]] = {}
        for index, job in enumerate(jobs):
            if job.after is not None:
                self._following.setdefault(job.after, []).append(index)
        self._released: list[tuple[int, int]] = []
        """Time and place of those whose time is known by now; a heap."""
        self._index = 0
        self._skip()
        self._first = self._next()

    @property
    def next_ns(self) -> int | None:
        """When the next job arrives; None when none is known to come."""
        return None if self._first is None else self._first[0]

    def until(self, now_ns: int) -> Iterator[Live]:
        """The jobs that arrive at or before a time and were not handed out yet."""
        while self._first is not None and self._first[0] <= now_ns:
            arrival_ns, index = self._first
            if index == self._index:
                self._index += 1
                self._skip()
            else:
                heappop(self._released)
            self._first = self._next()
            yield Live(index, arrival_ns, self._jobs[index])

    def ended(self, index: int, now_ns: int) -> None:
        """A job is over: those that follow it have a time now."""
        for follower in self._following.pop(index, ()):
            delay_ns = round(self._jobs[follower].delay_s * NS)
            heappush(self._released, (now_ns + delay_ns, follower))
            self._first = self._next()

    def _next(self) -> tuple[int, int] | None:
        """Time and place of the next job."""
        released = self._released[0] if self._released else None
        if self._index == len(self._jobs):
            return released
        listed = (round(self._jobs[self._index].arrival_s * NS), self._index)
        return listed if released is None else min(listed, released)

    def _skip(self) -> None:
        """Pass those that wait for others."""
        while self._index < len(self._jobs):
            if self._jobs[self._index].after is None:
                return
            self._index += 1
