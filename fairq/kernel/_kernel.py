"""The facade of the kernel: validate, then change everything or nothing.

Rules, each of which is a test:

1. It reads no clock, draws no number, logs nothing, awaits nothing. The same calls in
   the same order give the same plans.
2. A method succeeds or changes nothing.
3. Iteration is in order of arrival or by a documented sort, never over a set.
4. State is O(live requests + tenants above the floor), not O(ever seen).
5. Counters, prices and budgets are integers; only ``fairq.cost.price`` rounds.
6. ``plan`` and ``commit`` cost O(changes): who only decodes is visited once per block.

What happens while a plan is outstanding: ``submit`` and ``cancel`` answer at once, but
tenants join the backlog and sequences leave the batch when the plan is answered.
Nothing is decided before, and the blocks named in the plan stay with whom it says.
"""

from collections.abc import Iterable

from fairq._validators import check_type, is_integer
from fairq.backend import Capacity
from fairq.errors import InvariantError, RequestRejected, UsageError
from fairq.events import NO_EVENTS, Events, Finished, FinishReason
from fairq.kernel._answer import check_answer
from fairq.kernel._audit import problems
from fairq.kernel._draft import Draft
from fairq.kernel._lifecycle import Lifecycle
from fairq.kernel._limits import check_pins, check_queue, check_time, within
from fairq.kernel._planner import Planner
from fairq.kernel._report import take_snapshot
from fairq.kernel._sequence import Sequence
from fairq.kernel._snapshot import Idle, Phase, Snapshot
from fairq.plan import StepId, StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.tokens import TokenIds


class Kernel:
    """Decides what each step computes; see the module for its rules.

    Args:
        capacity: What the backend can hold and do.
        policy: Weights, prices, order and limits; ``Policy()`` when left out.

    Raises:
        UsageError: the policy asks for more than the capacity has.
    """

    __slots__ = (
        "_cancelled",
        "_capacity",
        "_draft",
        "_failures",
        "_life",
        "_next_request",
        "_next_step",
        "_now_ns",
        "_planner",
        "_policy",
    )

    def __init__(self, capacity: Capacity, policy: Policy | None = None) -> None:
        policy = Policy() if policy is None else policy
        check_type(capacity, Capacity, "The capacity")
        check_type(policy, Policy, "The policy")
        budget = within(
            policy.token_budget, capacity.tokens_per_step, "token_budget", "tokens"
        )
        members = within(
            policy.max_sequences, capacity.max_sequences, "max_sequences", "sequences"
        )
        check_pins(policy.prefix_cache, capacity)
        self._capacity = capacity
        self._policy = policy
        # Each member computes at least one position per step.
        self._life = Lifecycle(capacity, policy, min(members, budget))
        self._planner = Planner(self._life, budget, policy)
        self._draft: Draft | None = None
        self._cancelled: dict[RequestId, Sequence] = {}
        """Reported as cancelled, and gone once the outstanding plan is answered."""
        self._failures: dict[RequestId, int] = {}
        """Failed steps in a row, of requests that have any."""
        self._next_request = 0
        self._next_step = 0
        self._now_ns = 0

    # --- requests -------------------------------------------------------------------

    def submit(self, request: Request, now_ns: int = 0) -> RequestId:
        """Queue a request.

        Args:
            request: What is asked.
            now_ns: The caller's clock; only used to report how long requests wait. A
                time before the latest one seen counts as that one.

        Returns:
            Its id: 0, 1, 2, ... in the order of the calls.

        Raises:
            RequestRejected: it can never fit, or a queue is full.
            UsageError: it is not a ``Request``, or the time is not an integer.

        Modifies: the queue of its tenant. Cost: O(log tenants).
        """
        check_type(request, Request, "The request")
        check_time(now_ns)
        self._check_size(request)
        self._check_queues(request.tenant)
        self._now_ns = max(self._now_ns, now_ns)
        request_id = RequestId(self._next_request)
        self._next_request += 1
        tenant = self._life.counters.tenant(request.tenant)
        length = len(request.prompt)
        sequence = Sequence(request_id, request, tenant, self._now_ns, length)
        if self._draft is None:
            self._life.arrive(sequence)
        else:
            self._life.arrive_meanwhile(sequence)
        return request_id

    def cancel(self, request_id: RequestId) -> Events:
        """End a request, in whatever state it is.

        Returns:
            ``finished`` with the request and reason CANCELLED; nothing when it is over
            already or was never submitted, so calling twice is harmless.

        Raises:
            UsageError: it is no request id at all.

        Modifies: at once what is not part of an outstanding plan; the rest when that is
        answered. Cost: O(log tenants + its blocks).
        """
        if not is_integer(request_id):
            msg = f"Cancel the integer that submit returned; got {request_id!r}."
            raise UsageError(msg)
        sequence = self._life.sequences.get(request_id)
        if sequence is None or request_id in self._cancelled:
            return NO_EVENTS
        finished = Finished(request_id, FinishReason.CANCELLED, sequence.produced)
        if self._draft is not None and self._draft.involves(sequence):
            self._cancelled[request_id] = sequence
        else:
            self._end(sequence)
        return Events(finished=(finished,))

    # --- pins -----------------------------------------------------------------------

    def pin(
        self, tenant: str, tokens: Iterable[int], *, adapter: str | None = None
    ) -> int:
        """Keep what is cached of a prefix now from being evicted.

        Args:
            tenant: In whose cache it is looked for.
            tokens: The prefix.
            adapter: As in ``Request``.

        Returns:
            How many leading tokens are pinned, in whole blocks; 0 when nothing of it is
            cached, and then there is nothing to unpin.

        Raises:
            UsageError: it is pinned already, or ``PrefixCache.max_pinned_blocks`` would
                be exceeded.

        Cost: O(length), at C speed.
        """
        return self._life.pins.pin(tenant, TokenIds(tokens), adapter)

    def unpin(
        self, tenant: str, tokens: Iterable[int], *, adapter: str | None = None
    ) -> None:
        """Let a pinned prefix be evicted again; the arguments are those of ``pin``.

        Raises:
            UsageError: it is not pinned.
        """
        self._life.pins.unpin(tenant, TokenIds(tokens), adapter)

    # --- steps ----------------------------------------------------------------------

    def plan(self, now_ns: int = 0) -> StepPlan | Idle:
        """Decide the next step. Answer it with ``commit`` or ``fail``, exactly once.

        Args:
            now_ns: As in ``submit``.

        Raises:
            UsageError: the time is not an integer.

        Modifies: of what a caller can see only ``outstanding``, the counts of free and
        cached blocks, the tables of who is preempted, and the time; the plan takes
        effect when it is answered. Cost: O(blocks due + chunks + admissions * log
        tenants).
        """
        check_time(now_ns)
        self._now_ns = max(self._now_ns, now_ns)
        if self._draft is not None:
            return Idle.AWAITING_RESULT
        if not self._life.sequences:
            return Idle.NO_WORK
        draft = self._planner.draft()
        plan = draft.seal(StepId(self._next_step))
        self._next_step += 1
        self._draft = draft
        return plan

    def commit(self, result: StepResult) -> Events:
        """Take the answer to the outstanding plan.

        Returns:
            The tokens, who finished, and who was preempted.

        Raises:
            UsageError: it answers another step, or has too few, too many or impossible
                tokens; the message names them. Nothing has changed: the plan is still
                outstanding.

        Modifies: everything the plan said. Cost: O(changes), and a few passes over the
        tokens at C speed.
        """
        check_type(result, StepResult, "The result")
        draft = self._outstanding(result.step_id, "Result")
        check_answer(draft, result)
        self._draft = None
        shares = draft.apply(result.tokens)
        if self._failures:
            self._forgive(draft)
        finished = self._finish(result.stopped)
        preempted = self._preempted(draft)
        self._end_cancelled()
        self._life.answered()
        return Events(result.tokens, finished, preempted, shares)

    def fail(self, step_id: StepId) -> Events:
        """The outstanding step failed: nothing was computed, nothing is charged.

        Returns:
            ``finished`` with reason FAILED for requests that were in more than
            ``Policy.max_failures`` failed steps in a row. All others run again; those
            whose blocks the plan had taken away are ``preempted``.

        Raises:
            UsageError: another step, or none, is outstanding; nothing has changed.

        Modifies: what the plan held is free again. Cost: O(batch).
        """
        draft = self._outstanding(step_id, "Failure")
        self._draft = None
        draft.abandon()
        given_up = self._count_failures(draft)
        preempted = self._preempted(draft)
        self._end_cancelled()
        finished = []
        for sequence in given_up:
            if sequence.phase is not Phase.OVER:
                reason = Finished(sequence.id, FinishReason.FAILED, sequence.produced)
                finished.append(reason)
                self._end(sequence)
        self._life.answered()
        return Events(finished=tuple(finished), preempted=preempted)

    # --- looking --------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A frozen copy of the state. Cost: O(live requests + tenants)."""
        outstanding = None if self._draft is None else self._draft.plan.step_id
        return take_snapshot(self._life, outstanding, self._now_ns)

    def check(self) -> None:
        """Verify every invariant of the state. Cost: O(everything); for tests.

        Raises:
            InvariantError: one does not hold; with the snapshot.
        """
        for problem in problems(self._life, self._draft):
            raise InvariantError(problem, snapshot=self.snapshot())

    def __repr__(self) -> str:
        life = self._life
        return (
            f"<Kernel step {self._next_step}: {life.waiting} waiting, "
            f"{len(life.batch)} running, {life.ledger.free}/{life.ledger.total} "
            f"blocks free>"
        )

    # --- validation -----------------------------------------------------------------

    def _check_size(self, request: Request) -> None:
        positions = len(request.prompt) + request.max_tokens - 1
        needed = self._life.ledger.blocks_for(positions)
        available = self._life.ledger.total - self._life.pins.most
        size = self._capacity.block_size
        if needed > available:
            msg = (
                f"Request needs {needed} KV blocks of {size} tokens "
                f"(prompt of {len(request.prompt)}, max_tokens={request.max_tokens}) "
                f"but the backend has {available}; it can never run. Shorten the "
                f"prompt or lower max_tokens."
            )
            raise RequestRejected(
                msg, retryable=False, needed=needed, available=available
            )

    def _check_queues(self, name: str) -> None:
        tenant = self._life.counters.tenants.get(name)
        waiting = 0 if tenant is None else len(tenant.waiting)
        check_queue(
            self._policy.max_waiting_per_tenant,
            waiting,
            f"queue of tenant {name!r} (Policy.max_waiting_per_tenant)",
        )
        check_queue(
            self._policy.max_waiting, self._life.waiting, "queue (Policy.max_waiting)"
        )

    def _outstanding(self, step_id: StepId, what: str) -> Draft:
        draft = self._draft
        if draft is None:
            msg = (
                f"{what} for step {step_id!r}, but no plan is outstanding. Call plan()."
            )
            raise UsageError(msg)
        if step_id != draft.plan.step_id:
            msg = (
                f"{what} for step {step_id!r}, but the outstanding step is "
                f"{draft.plan.step_id}. Answer each plan once, in order."
            )
            raise UsageError(msg)
        return draft

    # --- ends -----------------------------------------------------------------------

    def _end(self, sequence: Sequence, *, ended: bool = False) -> None:
        self._failures.pop(sequence.id, None)
        self._life.end(sequence, ended=ended)

    def _finish(self, stopped: tuple[RequestId, ...]) -> tuple[Finished, ...]:
        """End who reached ``max_tokens`` and who the backend stopped, in that order."""
        reasons = dict.fromkeys(self._life.batch.ending(), FinishReason.LENGTH)
        # A stop token as the last token allowed is still a stop token.
        reasons.update(dict.fromkeys(stopped, FinishReason.STOP))
        finished = []
        for request_id, reason in reasons.items():
            sequence = self._life.sequences[request_id]
            if self._cancelled.pop(request_id, None) is None:
                finished.append(Finished(request_id, reason, sequence.produced))
            self._end(sequence, ended=True)
        return tuple(finished)

    def _preempted(self, draft: Draft) -> tuple[RequestId, ...]:
        return tuple(
            sequence.id
            for sequence in draft.preempted
            if sequence.id not in self._cancelled
        )

    def _end_cancelled(self) -> None:
        for sequence in self._cancelled.values():
            self._end(sequence)
        self._cancelled.clear()

    def _forgive(self, draft: Draft) -> None:
        for request_id in draft.members():
            self._failures.pop(request_id, None)

    def _count_failures(self, draft: Draft) -> list[Sequence]:
        """Count a failed step for everybody in it; the ones that had too many."""
        given_up = []
        for request_id in draft.members():
            count = self._failures.get(request_id, 0) + 1
            self._failures[request_id] = count
            if count > self._policy.max_failures:
                given_up.append(self._life.sequences[request_id])
        return given_up
