"""What became of every job, noted once per change and never per token."""

from collections.abc import Callable, Iterable, Sequence

from fairq.events import Finished
from fairq.plan import Chunk, Enter
from fairq.request import RequestId
from fairq.sim._arrivals import NS, Live
from fairq.sim._values import Job, Record

CALLS = 100
"""About how often progress is reported."""


class Recorder:
    """The records of a run in the making, by place in the trace."""

    def __init__(
        self, jobs: Sequence[Job], progress: Callable[[int], object] | None
    ) -> None:
        self._jobs = jobs
        self._records: list[Record | None] = [None] * len(jobs)
        self._live: dict[RequestId, Live] = {}
        self._first_ns: dict[RequestId, int] = {}
        self._cached: dict[RequestId, int] = {}
        self._progress = progress
        self._over = 0
        self._every = max(1, len(jobs) // CALLS)

    @property
    def live(self) -> int:
        """Requests that were accepted and are not over."""
        return len(self._live)

    def accept(self, request_id: RequestId, live: Live) -> None:
        """The kernel took a request."""
        self._live[request_id] = live

    def reject(self, live: Live) -> None:
        """A job will never be finished."""
        job = live.job
        lengths = (job.prompt_tokens, job.output_tokens)
        record = Record(job.client, *lengths, live.arrival_s, -1.0, -1.0)
        self._note(live.index, record)

    def give_up(self, request_id: RequestId) -> Live:
        """The kernel gave a request up."""
        self._first_ns.pop(request_id, None)
        self._cached.pop(request_id, None)
        live = self._live.pop(request_id)
        self.reject(live)
        return live

    def admitted(self, enters: Iterable[Enter]) -> None:
        """These joined the batch; only the first time counts."""
        for enter in enters:
            self._cached.setdefault(enter.request_id, enter.cached)

    def first_tokens(self, chunks: Iterable[Chunk], end_ns: int) -> None:
        """The step with these chunks ended; a token after a preemption is no first."""
        for chunk in chunks:
            if chunk.samples:
                self._first_ns.setdefault(chunk.request_id, end_ns)

    def finish(self, finished: Finished, end_ns: int) -> Live:
        """A request produced its last token."""
        live = self._live.pop(finished.request_id)
        job = live.job
        first_ns = self._first_ns.pop(finished.request_id) - live.arrival_ns
        record = Record(
            job.client,
            job.prompt_tokens,
            finished.output_tokens,
            live.arrival_s,
            first_ns / NS,
            (end_ns - live.arrival_ns) / NS,
            self._cached.pop(finished.request_id),
        )
        self._note(live.index, record)
        return live

    def records(self) -> tuple[Record, ...]:
        """All records, in the order of the trace."""
        return tuple(record for record in self._records if record is not None)

    def _note(self, index: int, record: Record) -> None:
        self._records[index] = record
        self._over += 1
        last = self._over == len(self._jobs)
        if self._progress is not None and (last or self._over % self._every == 0):
            self._progress(self._over)
