"""A trace through the kernel in virtual time: no clock, no threads, no event loop.

Time is an integer in nanoseconds and moves only when a step was executed, by what the
backend says it took, or when nothing runs, to the next arrival. Requests that arrive
while a step runs are submitted at their own time, while its plan is outstanding; what
a step produced comes at its end.
"""

from collections.abc import Callable

import attrs

from fairq._validators import is_integer
from fairq.backend import Backend
from fairq.errors import BackendError, InvariantError, RequestRejected
from fairq.events import Events, FinishReason
from fairq.kernel import Idle, Kernel
from fairq.plan import StepPlan, StepResult
from fairq.policy import Policy
from fairq.request import Request, RequestId
from fairq.sim._arrivals import Arrivals, Live
from fairq.sim._gap import GapMeter
from fairq.sim._names import check_weights
from fairq.sim._recorder import Recorder
from fairq.sim._requests import Given, MakeRequest, Prompts, source
from fairq.sim._totals import total
from fairq.sim._values import Run, Trace

Progress = Callable[[int], object]


def simulate(
    trace: Trace,
    backend: Backend,
    policy: Policy,
    *,
    max_tokens: int | None = None,
    progress: Progress | None = None,
    requests: MakeRequest | None = None,
) -> Run:
    """Replay a trace under a policy; the backend executes every step.

    The same arguments give the same run, if the backend is deterministic. A step in
    which the backend raises is reported to the kernel as failed, takes no time, and its
    requests run again, up to ``Policy.max_failures``. Requests that the kernel refuses,
    or gives up, are recorded as rejected and never stop the run.

    Prompts have in common what ``Job.content`` says. A trace that says nothing about
    any job runs without a prefix cache, so the cache changes nothing for it. In a
    closed loop (``Job.after``) a request arrives some time after another one is over.

    Costs O(steps + changes * backlogged tenants) in time, and O(requests of the
    trace) in memory; prompts are held only for requests that are not over.

    Args:
        trace: What arrives when.
        backend: A fresh backend with a plain ``step``. The caller closes it.
        policy: Order, limits, weights and prices.
        max_tokens: What the kernel is told about the length of every output, in tokens,
            >= 1; it cuts longer ones. None tells it the truth.
        progress: Called about 100 times with the number of requests that are over.
        requests: Makes the request of a job when it arrives, from its place in the
            trace and the job: real prompts, for a backend that runs a model. Tenant and
            length of the prompt must be those of the job; how long outputs get is
            between the request and the backend. None for invented prompts, and outputs
            as long as the trace says, by ``sampling={"output_tokens": n}``.

    Raises:
        UsageError: a weight names a tenant that is not in the trace, max_tokens is
            below 1, the policy asks for more than the backend has, or what ``requests``
            makes does not fit to its job.
        BackendError: the backend's answer is no ``StepResult``, or its time is below 0.
    """
    check_weights(policy, trace)
    alike = policy.prefix_cache is not None and backend.capacity.prefix_cache
    alike = alike and trace.shares
    made = source(backend.capacity, max_tokens, requests, alike=alike)
    if requests is None and not alike:
        policy = attrs.evolve(policy, prefix_cache=None)
    return _Simulation(trace, backend, policy, made, progress).run()


class _Simulation:
    """One run: the kernel, the backend, and what is noted on the way."""

    def __init__(
        self,
        trace: Trace,
        backend: Backend,
        policy: Policy,
        requests: Prompts | Given,
        progress: Progress | None,
    ) -> None:
        self._kernel = Kernel(backend.capacity, policy)
        self._backend = backend
        self._policy = policy
        self._arrivals = Arrivals(trace.jobs)
        self._requests = requests
        self._recorder = Recorder(trace.jobs, progress)
        self._gaps = GapMeter(policy)
        self._arrived: list[tuple[RequestId, Request]] = []
        """Submitted, and not in the backlog yet as far as the gap is concerned."""
        self._failed_steps = 0

    def run(self) -> Run:
        now_ns = 0
        while True:
            self._submit(now_ns)
            self._note_arrivals()
            plan = self._kernel.plan(now_ns)
            if isinstance(plan, StepPlan):
                now_ns = self._execute(plan, now_ns)
            elif self._arrivals.next_ns is not None:
                now_ns = self._arrivals.next_ns
            else:
                return self._finish(plan)

    def _submit(self, until_ns: int) -> None:
        """Hand in every job that arrives until then, each at its own time."""
        for job in self._arrivals.until(until_ns):
            request = self._requests.request(job)
            if request is None:
                self._reject(job)
            else:
                self._offer(job, request)

    def _reject(self, job: Live) -> None:
        self._recorder.reject(job)
        self._arrivals.ended(job.index, job.arrival_ns)

    def _offer(self, job: Live, request: Request) -> None:
        try:
            request_id = self._kernel.submit(request, job.arrival_ns)
        except RequestRejected:
            self._reject(job)
            return
        self._recorder.accept(request_id, job)
        self._arrived.append((request_id, request))

    def _note_arrivals(self) -> None:
        """Whoever arrives while a step runs begins to wait when it ends."""
        for request_id, request in self._arrived:
            self._gaps.arrived(request_id, request.tenant, len(request.prompt))
        self._arrived.clear()

    def _execute(self, plan: StepPlan, now_ns: int) -> int:
        """Carry out a plan; returns the time at which it ended."""
        self._check_progress(plan)
        try:
            answer = self._backend.step(plan)
        except Exception:  # noqa: BLE001  # whatever a backend raises is a failed step
            self._fail(plan, now_ns)
            return now_ns
        result = self._checked(answer, plan)
        end_ns = now_ns + result.elapsed_ns
        # What arrives at the very end is submitted after the commit.
        self._submit(end_ns - 1)
        events = self._kernel.commit(result)
        self._recorder.admitted(plan.enter)
        self._recorder.first_tokens(plan.chunks, end_ns)
        self._gaps.committed(plan, events)
        self._note_arrivals()
        self._end(events, end_ns)
        return end_ns

    def _check_progress(self, plan: StepPlan) -> None:
        """A kernel that plans nothing while requests wait would never end."""
        if not (plan.decodes or plan.chunks or plan.leave):
            msg = f"Step {plan.step_id} has nothing to compute, and requests are left."
            raise InvariantError(msg, snapshot=self._kernel.snapshot())

    def _checked(self, answer: object, plan: StepPlan) -> StepResult:
        if not isinstance(answer, StepResult) or not is_time(answer.elapsed_ns):
            name = type(self._backend).__name__
            msg = (
                f"{name}.step: expected a StepResult with elapsed_ns >= 0; got "
                f"{answer!r}. A simulation needs a plain function that says what a "
                f"step takes."
            )
            raise BackendError(msg, backend=name, step_id=plan.step_id)
        return answer

    def _fail(self, plan: StepPlan, now_ns: int) -> None:
        self._failed_steps += 1
        events = self._kernel.fail(plan.step_id)
        self._gaps.failed(events)
        self._end(events, now_ns)

    def _end(self, events: Events, end_ns: int) -> None:
        for finished in events.finished:
            if finished.reason is FinishReason.FAILED:
                job = self._recorder.give_up(finished.request_id)
            else:
                job = self._recorder.finish(finished, end_ns)
            self._arrivals.ended(job.index, end_ns)

    def _finish(self, idle: Idle) -> Run:
        snapshot = self._kernel.snapshot()
        if self._recorder.live:
            msg = f"The kernel is idle ({idle.value}) with requests left to run."
            raise InvariantError(msg, snapshot=snapshot)
        records = self._recorder.records()
        return Run(
            policy=self._policy.discipline.name,
            records=records,
            totals=total(records, snapshot),
            bound=snapshot.gap_bound,
            largest_gap=self._gaps.largest_gap(),
            failed_steps=self._failed_steps,
        )


def is_time(elapsed_ns: object) -> bool:
    """Whether a backend's time is a whole number of ns, >= 0."""
    return isinstance(elapsed_ns, int) and is_integer(elapsed_ns) and elapsed_ns >= 0
