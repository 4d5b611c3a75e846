"""Service over time, for a plot."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise

from fairq.cost import LinearCost
from fairq.errors import UsageError
from fairq.sim._values import Record
from fairq.sim._windows import asked, part


def service_curve(
    records: Sequence[Record], cost: LinearCost, points: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """The service that every tenant had got until each of some times.

    The cost of a request is spread evenly from its first to its last token. Costs
    O(requests * points that each spans + tenants * points).

    Args:
        records: A run or a log; rejected requests got nothing.
        cost: The prices of tokens.
        points: The times, in seconds, each at least the one before.

    Returns:
        For each tenant, in the order in which they are first seen, the cumulative
        service at each point, in service units.

    Raises:
        UsageError: the points are not in order.
    """
    if any(later < earlier for earlier, later in pairwise(points)):
        msg = "service_curve: points must be in ascending order; got some that are not."
        raise UsageError(msg)
    # One more than the points: what comes after the last of them.
    gains = {record.client: [0.0] * (len(points) + 1) for record in records}
    for record in records:
        if not record.rejected:
            _spread(gains[record.client], record, asked(record, cost), points)
    return {client: tuple(accumulate(gain[:-1])) for client, gain in gains.items()}


def _spread(
    gain: list[float], record: Record, service: float, points: Sequence[float]
) -> None:
    """Add one request: gain[k] is what came after point k - 1, until point k."""
    first, last = record.first_token_s, record.last_token_s
    low, high = bisect_left(points, first), bisect_left(points, last)
    spent = 0.0
    for index in range(low, high):
        got = service * part(first, last, first, points[index])
        gain[index] += got - spent
        spent = got
    gain[high] += service - spent
