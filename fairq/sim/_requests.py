"""Jobs as requests: invented by what the trace says, or the caller's."""

from collections.abc import Callable
from typing import Final, NoReturn

from fairq._validators import is_integer
from fairq.backend import Capacity
from fairq.errors import UsageError
from fairq.request import Request
from fairq.sim._arrivals import Live
from fairq.sim._content import LARGEST_ID, lay_out
from fairq.sim._values import Job
from fairq.tokens import TokenIds

TOKEN_BYTES: Final = 4

MakeRequest = Callable[[int, Job], Request]
"""Takes a job and its place in the trace, from 0."""


class Prompts:
    """Makes requests of the right lengths.

    Where prompts can be shared they are laid out as the trace says. Where they cannot,
    all are zeros, and short ones are kept for the next of that length.
    """

    SHORT = 1024
    """Longest prompt that is kept: 2 MiB for all lengths together."""

    def __init__(
        self, capacity: Capacity, max_tokens: int | None, *, alike: bool
    ) -> None:
        if max_tokens is not None and (not is_integer(max_tokens) or max_tokens < 1):
            msg = f"simulate: max_tokens must be None or >= 1; got {max_tokens!r}."
            raise UsageError(msg)
        self._pool = capacity.blocks * capacity.block_size
        self._max_tokens = max_tokens
        self._alike = alike
        self._zeros: dict[int, TokenIds] = {}

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
            prompt=self._prompt(live),
            max_tokens=job.output_tokens if limit is None else limit,
            sampling={"output_tokens": job.output_tokens},
        )

    def _prompt(self, live: Live) -> TokenIds:
        job = live.job
        if self._alike:
            mark = LARGEST_ID + live.index
            raw = lay_out(job.content or (), job.prompt_tokens, mark)
            return TokenIds.from_raw(raw)
        return self._nothing(job.prompt_tokens)

    def _nothing(self, length: int) -> TokenIds:
        prompt = self._zeros.get(length)
        if prompt is None:
            prompt = TokenIds.from_raw(bytes(TOKEN_BYTES * length))
            if length <= self.SHORT:
                self._zeros[length] = prompt
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
    capacity: Capacity, max_tokens: int | None, make: MakeRequest | None, *, alike: bool
) -> Prompts | Given:
    """Where the requests of a run come from: invented, or the caller's.

    Raises:
        UsageError: max_tokens is below 1, or was given together with ``make``.
    """
    if make is None:
        return Prompts(capacity, max_tokens, alike=alike)
    if max_tokens is not None:
        msg = (
            f"simulate: requests have a max_tokens each; expected max_tokens=None "
            f"beside them, got {max_tokens!r}."
        )
        raise UsageError(msg)
    return Given(make)
