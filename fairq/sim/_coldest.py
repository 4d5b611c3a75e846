"""Who waits for locality: the requests that found least in the prefix cache.

Orders that prefer cached prefixes serve them last; how long they wait is the other side
of a good hit rate.
"""

from collections.abc import Sequence
from typing import Final

import attrs

from fairq.sim._summary import percentile
from fairq.sim._values import Record

PART: Final = 20
"""One of so many is among the coldest: 5 %."""


@attrs.frozen(kw_only=True)
class Coldest:
    """The finished requests with the fewest cached tokens: 5 %, and their equals."""

    requests: int
    """A twentieth of the finished ones, rounded up, and all that found no more than
    the last of these: which of them came first must not decide who is measured."""
    first_token_p99_s: float | None
    """From arrival to first token; None when nothing finished."""


def coldest(records: Sequence[Record]) -> Coldest:
    """Measure the coldest 5 %, and who found no more than they.

    Costs O(requests * log(requests)).
    """
    finished = [record for record in records if not record.rejected]
    count = -(-len(finished) // PART)
    found = sorted(record.cached_tokens for record in finished)
    most = found[count - 1] if found else 0
    cold = [record for record in finished if record.cached_tokens <= most]
    waits = [record.first_token_latency_s for record in cold]
    p99 = percentile(waits, 99) if waits else None
    return Coldest(requests=len(cold), first_token_p99_s=p99)
