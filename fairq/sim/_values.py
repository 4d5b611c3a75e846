"""What the simulator takes in and gives out: jobs, records, runs."""

import attrs

from fairq._validators import integer, is_finite, number, text
from fairq.errors import UsageError

__all__ = ["Job", "Record", "Run", "Totals", "Trace"]


@attrs.frozen
class Job:
    """One request of a trace: lengths and a time, no text.

    Raises:
        UsageError: a field is out of its bounds; the message names it.
    """

    client: str = attrs.field(validator=text)
    """The tenant."""
    arrival_s: float = attrs.field(validator=number(0, "seconds"))
    """When it arrives, in seconds from the start of the trace, >= 0."""
    prompt_tokens: int = attrs.field(validator=integer(1, "tokens"))
    output_tokens: int = attrs.field(validator=integer(1, "tokens"))
    """How many tokens it produces if nobody stops it, >= 1."""


@attrs.frozen
class Trace:
    """Jobs in the order of their arrival."""

    name: str
    jobs: tuple[Job, ...]

    def scaled(self, speed: float) -> "Trace":
        """The same jobs, arriving ``speed`` times as fast. Costs O(jobs).

        Args:
            speed: Every arrival time is divided by it; finite and > 0.

        Raises:
            UsageError: speed is not a finite number above 0.
        """
        if not is_finite(speed) or speed <= 0:
            msg = f"Trace.scaled: speed must be a finite number > 0; got {speed!r}."
            raise UsageError(msg)
        jobs = (attrs.evolve(job, arrival_s=job.arrival_s / speed) for job in self.jobs)
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
