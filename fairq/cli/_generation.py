"""One request on a backend that runs a model: its tokens, as they come, and times."""

import time
from collections.abc import Callable, Sequence

import attrs

from fairq.cli._text import Numbers, TextBackend
from fairq.engine import request_check
from fairq.kernel import Kernel
from fairq.plan import StepPlan
from fairq.request import Request

TOP = 5
"""How many of the first step's logits are kept."""

NS = 10**9


@attrs.frozen
class Candidate:
    """A token that could have been next."""

    id: int
    logit: float


@attrs.frozen(kw_only=True)
class Generation:
    """What came of the request."""

    ids: Sequence[int]
    """The generated tokens, an end token included."""
    top: Sequence[Candidate]
    """Of the first step, most likely first."""
    seconds: float
    """From the start of the first step to the last token."""
    first_s: float
    """To the first token."""

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens after the first one, by the time after the first one.

        None for a single token: its time is that of the prompt.
        """
        after_s = self.seconds - self.first_s
        return (len(self.ids) - 1) / after_s if after_s > 0 else None


def generate_one(
    backend: TextBackend, request: Request, heard: Callable[[int], object]
) -> Generation:
    """Run one request alone; ``heard`` is called with each token when it is there.

    Raises:
        RequestRejected: it is larger than what the backend or its model can hold.
        UsageError: the backend says that it does not understand it.
        BackendError: the backend cannot carry it out.
    """
    request_check(backend)(request)
    kernel = Kernel(backend.capacity)
    name = kernel.submit(request)
    ids = list[int]()
    times = list[int]()
    top = tuple[Candidate, ...]()
    began = time.perf_counter_ns()
    while isinstance(plan := kernel.plan(), StepPlan):
        events = kernel.commit(backend.step(plan))
        if name not in events.tokens:
            continue  # part of a long prompt, or the farewell after the last token
        times.append(time.perf_counter_ns())
        if not ids:
            top = _candidates(backend.logits[name])
        ids.append(events.tokens[name])
        heard(ids[-1])
    first_s, seconds = ((each - began) / NS for each in (times[0], times[-1]))
    return Generation(ids=ids, top=top, seconds=seconds, first_s=first_s)


def _candidates(logits: Numbers) -> tuple[Candidate, ...]:
    values, places = logits.topk(min(TOP, len(logits)))
    pairs = zip(places.tolist(), values.tolist(), strict=True)
    return tuple(Candidate(int(place), value) for place, value in pairs)
