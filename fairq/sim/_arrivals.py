"""Jobs of a trace as requests, each when its time has come."""

from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import attrs

from fairq._validators import is_integer
from fairq.backend import Capacity
from fairq.errors import UsageError
from fairq.request import Request
from fairq.sim._values import Job
from fairq.tokens import TokenIds

NS: int = 10**9
TOKEN_BYTES = 4

MakeRequest = Callable[[int, Job], Request]
"""Takes a job and its place in the trace, from 0."""


@attrs.frozen
class Live:
    """A job that has arrived."""

    index: int
    """In the trace."""
    arrival_ns: int
    job: Job


class Arrivals:
    """The jobs of a trace, in order of arrival, handed out once."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._index = 0
        self.next_ns = self._time()
        """When the next job arrives; None when there is none left."""

    def until(self, now_ns: int) -> Iterator[Live]:
        """The jobs that arrive at or before a time and were not handed out yet."""
        while self.next_ns is not None and self.next_ns <= now_ns:
            live = Live(self._index, self.next_ns, self._jobs[self._index])
            self._index += 1
            self.next_ns = self._time()
            yield live

    def _time(self) -> int | None:
        if self._index == len(self._jobs):
            return None
        return round(self._jobs[self._index].arrival_s * NS)


class Prompts:
    """Makes requests: the right lengths, all zeros, short prompts shared by length."""

    SHARED = 1024
    """Longest prompt that is kept for the next one: 2 MiB for all lengths together."""

    def __init__(self, capacity: Capacity, max_tokens: int | None) -> None:
        if max_tokens is not None and (not is_integer(max_tokens) or max_tokens < 1):
            msg = f"simulate: max_tokens must be None or >= 1; got {max_tokens!r}."
            raise UsageError(msg)
        self._pool = capacity.blocks * capacity.block_size
        self._max_tokens = max_tokens
        self._prompts: dict[int, TokenIds] = {}

    def request(self, live: Live) -> Request | None:
        """The request of a job; None when its prompt alone is larger than the pool.

        The kernel would reject it too, but only after it was laid out in memory.
        """
        job = live.job
        if job.prompt_tokens > self._pool:
            return None
        limit = self._max_tokens
        return Request(
            tenant=job.client,
            prompt=self._prompt(job.prompt_tokens),
            max_tokens=job.output_tokens if limit is None else limit,
            sampling={"output_tokens": job.output_tokens},
        )

    def _prompt(self, length: int) -> TokenIds:
        prompt = self._prompts.get(length)
        if prompt is None:
            prompt = TokenIds.from_raw(bytes(TOKEN_BYTES * length))
            if length <= self.SHARED:
                self._prompts[length] = prompt
        return prompt


class Given:
    """Requests that the caller makes, each held against its job."""

    def __init__(self, make: MakeRequest) -> None:
        self._make = make

    def request(self, live: Live) -> Request:
        """The request of a job.

        Raises:
            UsageError: it is none, or not of the tenant or the length of its job.
        """
        request, job = self._make(live.index, live.job), live.job
        if not isinstance(request, Request):
            _refuse(live, repr(request))
        got = (request.tenant, len(request.prompt))
        if got != (job.client, job.prompt_tokens):
            _refuse(live, f"{request.tenant!r} with {got[1]}")
        return request


def _refuse(live: Live, got: str) -> NoReturn:
    msg = (
        f"simulate: requests must give job {live.index} of the trace a Request of "
        f"tenant {live.job.client!r} with {live.job.prompt_tokens} prompt tokens; "
        f"got {got}."
    )
    raise UsageError(msg)


def source(
    capacity: Capacity, max_tokens: int | None, make: MakeRequest | None
) -> Prompts | Given:
    """Where the requests of a run come from: invented, or the caller's.

    Raises:
        UsageError: max_tokens is below 1, or was given together with ``make``.
    """
    if make is None:
        return Prompts(capacity, max_tokens)
    if max_tokens is not None:
        msg = (
            f"simulate: requests have a max_tokens each; expected max_tokens=None "
            f"beside them, got {max_tokens!r}."
        )
        raise UsageError(msg)
    return Given(make)
