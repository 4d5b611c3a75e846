"""Sums over the records of a run or a log."""

from collections.abc import Sequence

from fairq.kernel import Snapshot
from fairq.sim._values import Record, Totals


def total(records: Sequence[Record], snapshot: Snapshot | None = None) -> Totals:
    """Sum up records; what only the kernel knows comes from its last snapshot.

    Costs O(records).
    """
    finished = [record for record in records if not record.rejected]
    prompt = sum(record.prompt_tokens for record in finished)
    output = sum(record.output_tokens for record in finished)
    cached = sum(record.cached_tokens for record in finished)
    seconds = max((record.last_token_s for record in finished), default=0.0)
    first = min((record.arrival_s for record in records), default=0.0)
    return Totals(
        requests=len(records),
        finished=len(finished),
        rejected=len(records) - len(finished),
        prompt_tokens=prompt,
        output_tokens=output,
        seconds=seconds,
        tokens_per_s=(prompt + output) / seconds if seconds > 0 else 0.0,
        makespan_s=max(0.0, seconds - first),
        cached_tokens=cached,
        hit_rate=cached / prompt if prompt else 0.0,
        steps=None if snapshot is None else snapshot.steps,
        preemptions=None if snapshot is None else snapshot.preemptions,
        recomputed_tokens=None if snapshot is None else snapshot.recomputed_tokens,
    )
