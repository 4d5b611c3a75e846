"""A trace as a job that is known as a whole: everything there at once, in one order."""

from collections.abc import Sequence

import attrs

from fairq.errors import UsageError
from fairq.offline import plan_offline
from fairq.request import Request
from fairq.sim._content import LARGEST_ID, lay_out
from fairq.sim._values import Job, Record, Trace
from fairq.tokens import TokenIds


@attrs.frozen
class Planned:
    """A trace in the order that the offline planner found."""

    trace: Trace
    """The same jobs, all arriving at time 0."""
    order: tuple[int, ...]
    """For each of them, where it stands in the trace that was planned."""
    saved_tokens: int
    """Prompt tokens that need not be computed, if no prefix is lost too early."""

    def restored(self, records: Sequence[Record]) -> tuple[Record, ...]:
        """Records of a run of it, in the order of the trace that was planned."""
        found = dict(zip(self.order, records, strict=True))
        return tuple(found[place] for place in range(len(found)))


def plan_trace(trace: Trace, *, block_size: int, pool_tokens: int) -> Planned:
    """Order the jobs of a trace with ``plan_offline``.

    Jobs that can never fit come last. Costs what the planner costs, and 4 bytes for
    each prompt token while it runs.

    Args:
        trace: Its times are not used.
        block_size: Tokens per KV block of the machine.
        pool_tokens: Tokens that the machine has room for.

    Raises:
        UsageError: a job waits for the end of another one.
    """
    if trace.closed:
        msg = (
            f"plan_trace: expected a trace that is known as a whole; {trace.name!r} is "
            f"a closed loop, in which jobs arrive when others are over."
        )
        raise UsageError(msg)
    jobs = trace.jobs
    fits = [n for n, job in enumerate(jobs) if job.prompt_tokens <= pool_tokens]
    requests = [_request(place, jobs[place]) for place in fits]
    plan = plan_offline(requests, block_size=block_size)
    rest = [n for n, job in enumerate(jobs) if job.prompt_tokens > pool_tokens]
    order = (*(fits[place] for place in plan.order), *rest)
    planned = tuple(attrs.evolve(jobs[place], arrival_s=0.0) for place in order)
    return Planned(Trace(trace.name, planned), order, plan.saved_tokens)


def _request(place: int, job: Job) -> Request:
    raw = lay_out(job.content or (), job.prompt_tokens, LARGEST_ID + place)
    return Request(
        tenant=job.client,
        prompt=TokenIds.from_raw(raw),
        max_tokens=job.output_tokens,
    )
