"""Appointments by tick, so that a step meets only those who are due."""

import attrs

from fairq import RequestId


@attrs.define(eq=False)
class Calendar:
    """Who is due when. Every operation is O(1); past days are not kept."""

    # The inner dicts are ordered sets: who is due is told in the order of booking.
    _days: dict[int, dict[RequestId, None]] = attrs.field(factory=dict)

    def book(self, tick: int, request_id: RequestId) -> None:
        """Add an appointment."""
        self._days.setdefault(tick, {})[request_id] = None

    def cancel(self, tick: int, request_id: RequestId) -> None:
        """Remove an appointment, if there is one."""
        day = self._days.get(tick)
        if day is None:
            return
        day.pop(request_id, None)
        if not day:
            del self._days[tick]

    def due(self, tick: int) -> tuple[RequestId, ...]:
        """Who has an appointment at that tick."""
        return tuple(self._days.get(tick, ()))

    def __len__(self) -> int:
        return len(self._days)
