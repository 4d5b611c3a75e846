"""The calls of a kernel: submit, cancel, plan, and the answer to a plan."""

import attrs

from property_tests.reference.composer import Composer
from property_tests.reference.moves import Moves
from property_tests.reference.request import RequestModel
from property_tests.reference.rules import Rules
from property_tests.reference.state import State
from property_tests.reference.step import StepModel


@attrs.frozen
class Rejection:
    """A request that was not taken, and the numbers of the refusal."""

    retryable: bool
    needed: int
    available: int


@attrs.frozen
class EndModel:
    """A caller is told that a request is over."""

    id: int
    reason: str
    produced: int


def _end(request: RequestModel, reason: str) -> EndModel:
    return EndModel(request.id, reason, len(request.outputs))


class KernelModel:
    """A state, what can be done to it, and one outstanding step."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.state = State(rules)
        self.step: StepModel | None = None
        self._moves = Moves(self.state)
        self._cancelled: list[RequestModel] = []
        """Told so already; they stay until the outstanding step is answered."""
        self._submitted = 0

    # --- requests -------------------------------------------------------------------

    def submit(
        self, tenant: str, prompt: list[int], max_tokens: int, now_ns: int
    ) -> int | Rejection:
        """The number of the request, or why it is not taken."""
        request = RequestModel(self._submitted, tenant, prompt, max_tokens, now_ns)
        rejection = self._rejection(request)
        if rejection is not None:
            return rejection
        self._submitted += 1
        self._moves.arrive(request, meanwhile=self.step is not None)
        return request.id

    def _rejection(self, request: RequestModel) -> Rejection | None:
        needed = self.rules.blocks_for(request.worst)
        if needed > self.rules.blocks:
            return Rejection(
                retryable=False, needed=needed, available=self.rules.blocks
            )
        known = self.state.counters.tenants.get(request.tenant)
        limits = [
            (
                0 if known is None else len(known.queue),
                self.rules.max_waiting_per_tenant,
            ),
            (self.state.waiting, self.rules.max_waiting),
        ]
        for waiting, limit in limits:
            if limit is not None and waiting >= limit:
                return Rejection(retryable=True, needed=waiting + 1, available=limit)
        return None

    def cancel(self, id_: int) -> list[EndModel]:
        """Nothing when it is over already."""
        request = self.state.requests.get(id_)
        if request is None or request.cancelled:
            return []
        told = _end(request, "cancelled")
        entering = self.step is not None and request in self.step.entering
        if self.step is not None and (request.slot is not None or entering):
            request.cancelled = True
            self._cancelled.append(request)
        else:
            self._moves.end(request)
        return [told]

    # --- steps ----------------------------------------------------------------------

    def plan(self) -> StepModel | None:
        """The next step; None when there is no live request."""
        if not self.state.requests:
            return None
        self.step = Composer(self.state).compose()
        self._moves.take_blocks_of_victims(self.step)
        return self.step

    def commit(
        self, tokens: dict[int, int], stopped: tuple[int, ...]
    ) -> tuple[list[EndModel], list[int]]:
        """Make the step true; who is over, and who was preempted."""
        step = self._answered()
        self._moves.execute(step, tokens)
        for request in step.members:
            request.failures = 0
        told = self._finish(stopped)
        preempted = [each.id for each in step.preempted if not each.cancelled]
        self._end_cancelled()
        self._moves.join()
        return told, preempted

    def fail(self) -> tuple[list[EndModel], list[int]]:
        """Nothing was computed; who was in too many failed steps is given up.

        Who was preempted stays so: its blocks may have been written to.
        """
        step = self._answered()
        self._moves.preempt(step)
        self.state.leaving += [request.id for request in step.preempted]
        preempted = [each.id for each in step.preempted if not each.cancelled]
        for request in step.members:
            request.failures += 1
        self._end_cancelled()
        told = []
        for request in step.members:
            too_many = request.failures > self.rules.max_failures
            if too_many and request.id in self.state.requests:
                told.append(_end(request, "failed"))
                self._moves.end(request)
        self._moves.join()
        return told, preempted

    def _answered(self) -> StepModel:
        step, self.step = self.step, None
        assert step is not None
        return step

    def _finish(self, stopped: tuple[int, ...]) -> list[EndModel]:
        """First those with all their tokens, by joining; then those that stopped."""
        full = [each.id for each in self.state.decoding if not each.owed]
        told = []
        for id_ in dict.fromkeys([*full, *stopped]):
            request = self.state.requests[id_]
            if not request.cancelled:
                told.append(_end(request, "stop" if id_ in stopped else "length"))
            self._moves.end(request, by_itself=True)
        return told

    def _end_cancelled(self) -> None:
        for request in self._cancelled:
            if request.id in self.state.requests:  # it may have ended by itself
                self._moves.end(request)
        self._cancelled.clear()
