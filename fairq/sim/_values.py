"""What the simulator takes in and gives out: jobs, records, runs."""

import attrs

from fairq._validators import (
    fail,
    integer,
    is_finite,
    number,
    optional_integer,
    text,
)
from fairq.errors import UsageError
from fairq.sim._content import Span

__all__ = ["Job", "Record", "Run", "Totals", "Trace"]


@attrs.frozen
class Job:
    """One request of a trace: lengths and a time, no text.

    Raises:
        UsageError: a field is out of its bounds, or the content is longer than the
            prompt; the message names it.
    """

    client: str = attrs.field(validator=text)
    """The tenant."""
    arrival_s: float = attrs.field(validator=number(0, "seconds"))
    """When it arrives, in seconds from the start of the trace, >= 0. With ``after`` it
    only tells where the job stands in the trace; the time is known in the run."""
    prompt_tokens: int = attrs.field(validator=integer(1, "tokens"))
    output_tokens: int = attrs.field(validator=integer(1, "tokens"))
    """How many tokens it produces if nobody stops it, >= 1."""
    content: tuple[Span, ...] | None = attrs.field(default=None)
    """What its prompt begins with; the rest, and with None all of it, is unlike every
    other prompt."""
    after: int | None = attrs.field(
        default=None, validator=optional_integer(0, "place in the trace")
    )
    """The job, by its place in the trace, that must be over before it arrives: it is
    part of a closed loop. None arrives at ``arrival_s``."""
    delay_s: float = attrs.field(default=0.0, validator=number(0, "seconds"))
    """How long after the end of that job it arrives, >= 0. Finished, rejected and
    given up are ends alike."""

    @content.validator
    def _check_content(
        self, attribute: "attrs.Attribute[object]", content: tuple[Span, ...] | None
    ) -> None:
        length = sum(span.length for span in content or ())
        if length > self.prompt_tokens:
            expected = f"at most prompt_tokens={self.prompt_tokens} long"
            fail(self, attribute, f"{length} tokens", expected)


@attrs.frozen
class Trace:
    """Jobs in the order of their arrival.

    Raises:
        UsageError: a job comes after one that does not stand before it.
    """

    name: str
    jobs: tuple[Job, ...]

    def __attrs_post_init__(self) -> None:
        for place, job in enumerate(self.jobs):
            if job.after is not None and job.after >= place:
                msg = (
                    f"Trace {self.name!r}: job {place} must come after an earlier one; "
                    f"got after={job.after}."
                )
                raise UsageError(msg)

    @property
    def shares(self) -> bool:
        """Whether any job tells what its prompt has in common with others."""
        return any(job.content for job in self.jobs)

    @property
    def closed(self) -> bool:
        """Whether any job waits for the end of another one."""
        return any(job.after is not None for job in self.jobs)

    def scaled(self, speed: float) -> "Trace":
        """The same jobs, arriving ``speed`` times as fast. Costs O(jobs).

        Args:
            speed: Every arrival time and delay is divided by it; finite and > 0.

        Raises:
            UsageError: speed is not a finite number above 0.
        """
        if not is_finite(speed) or speed <= 0:
            msg = f"Trace.scaled: speed must be a finite number > 0; got {speed!r}."
            raise UsageError(msg)
        jobs = (
            attrs.evolve(
                job, arrival_s=job.arrival_s / speed, delay_s=job.delay_s / speed
            )
            for job in self.jobs
        )
        return Trace(self.name, tuple(jobs))


@attrs.frozen
class Record:
    """What became of one job. The columns of a log, in this order."""

    client: str
    prompt_tokens: int
    output_tokens: int
    """Delivered; of a rejected job, asked for."""
    arrival_s: float
    first_token_latency_s: float
    """From arrival to first token; -1 when it was rejected."""
    request_latency_s: float
    """From arrival to last token; -1 when it was rejected."""
    cached_tokens: int = 0
    """Prompt positions that were found in the prefix cache when it was admitted for the
    first time; 0 when it was rejected."""

    @property
    def rejected(self) -> bool:
        """Whether it never got to its end: refused, or given up by the kernel."""
        return self.first_token_latency_s < 0

    @property
    def first_token_s(self) -> float:
        """Time of the first token, in seconds; meaningless when rejected."""
        return self.arrival_s + self.first_token_latency_s

    @property
    def last_token_s(self) -> float:
        """Time of the last token, in seconds; meaningless when rejected."""
        return self.arrival_s + self.request_latency_s


@attrs.frozen(kw_only=True)
class Totals:
    """Sums over one run. What a log cannot tell is None."""

    requests: int
    finished: int
    rejected: int
    """Refused, or given up after too many failed steps."""
    prompt_tokens: int
    """Of finished requests."""
    output_tokens: int
    """Of finished requests."""
    seconds: float
    """From the trace's time zero to the last token, in virtual time."""
    tokens_per_s: float
    """(prompt_tokens + output_tokens) / seconds; 0 when nothing finished."""
    makespan_s: float
    """From the first arrival to the last token, in virtual time."""
    cached_tokens: int
    """Prompt positions of finished requests that were found in the prefix cache when
    they were admitted for the first time. What a preempted request finds of its own
    when it comes back is not among them."""
    hit_rate: float
    """cached_tokens / prompt_tokens, 0 to 1; 0 when nothing finished."""
    steps: int | None = None
    """Steps committed."""
    preemptions: int | None = None
    recomputed_tokens: int | None = None
    """Positions computed again after preemptions."""


@attrs.frozen(kw_only=True)
class Run:
    """One trace under one policy."""

    policy: str
    """Name of the discipline."""
    records: tuple[Record, ...]
    """In the order of the trace."""
    totals: Totals
    bound: float | None
    """On the gap, as proven for what this run committed; None without a gate."""
    largest_gap: float
    """Largest |dW_i/w_i - dW_j/w_j| over all pairs of tenants and all intervals in
    which both were backlogged, measured from the work executed; service units per
    unit of weight."""
    failed_steps: int = 0
    """Steps in which the backend raised; their requests ran again."""
