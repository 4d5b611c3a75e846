"""The loop: plan, step, commit, hand out. It makes no decision of its own."""

from anyio import CancelScope, Event, create_task_group, current_time
from anyio.abc import TaskGroup

from fairq.backend import Backend
from fairq.engine._preflight import request_check
from fairq.engine._runner import Step, run_steps
from fairq.engine._stream import TokenStream
from fairq.engine._streams import Answer, Streams
from fairq.errors import EngineClosed, UsageError
from fairq.kernel import Kernel
from fairq.plan import StepPlan
from fairq.request import Request

__all__ = ["Driver"]


class Driver:
    """Moves values between a kernel, a backend and the streams.

    Attributes:
        crash: What ended the loop before it was stopped; None while all is well.
    """

    def __init__(self, kernel: Kernel, backend: Backend, streams: Streams) -> None:
        self._kernel = kernel
        self._backend = backend
        self._streams = streams
        self._check = request_check(backend)
        self._work = Event()
        self._stopping = False
        self.steps = 0
        self.failed_steps = 0
        self.crash: BaseException | None = None

    def submit(self, request: Request) -> TokenStream:
        """Open a stream and see that the loop is awake.

        A request that can never run would fail every step that it is in, and with it
        everybody else in those steps: the backend is asked first.
        """
        if self._stopping:
            msg = (
                "This engine is closed; no request can be submitted. Open streams "
                "inside open_engine's block."
            )
            raise EngineClosed(msg) from self.crash
        self._check(request)
        stream = self._streams.open(request, now_ns())
        self._work.set()
        return stream

    def stop(self) -> None:
        """Make the loop end, after the step that is running."""
        self._stopping = True
        self._work.set()

    async def run(self) -> None:
        """Drive until stopped; close the backend, then end the streams. Never raises.

        Shielded, so that a step that has begun is answered; ``stop`` is the way out.
        """
        try:
            with CancelScope(shield=True):
                async with run_steps(self._backend) as step, create_task_group() as g:
                    await self._loop(step, g)
        except BaseException as error:  # noqa: BLE001  # open_engine raises it again
            self.crash = bare(error)
        finally:
            self._stopping = True
            self._streams.close(self.crash)

    async def _loop(self, step: Step, tasks: TaskGroup) -> None:
        while not self._stopping:
            plan = self._kernel.plan(now_ns())
            if not isinstance(plan, StepPlan):
                await self._sleep()
                continue
            answer = await self._run(plan, step)
            # This task starts when the loop next suspends, and by then the loop has
            # dispatched the next step: readers are woken while the backend works.
            tasks.start_soon(self._streams.deliver, answer)

    async def _sleep(self) -> None:
        self._work = Event()
        await self._work.wait()

    async def _run(self, plan: StepPlan, step: Step) -> Answer:
        try:
            result = await step(plan)
        except Exception as error:  # noqa: BLE001  # whatever it is, this step failed
            return self._failed(plan, error)
        try:
            events = self._kernel.commit(result)
        except UsageError as error:
            return self._failed(plan, error)
        self.steps += 1
        return Answer(plan.step_id, events)

    def _failed(self, plan: StepPlan, cause: Exception) -> Answer:
        self.failed_steps += 1
        return Answer(plan.step_id, self._kernel.fail(plan.step_id), cause)


def now_ns() -> int:
    """The clock of the event loop, in ns; it never goes back."""
    return int(current_time() * 1_000_000_000)


def bare(error: BaseException) -> BaseException:
    """The first error in the groups of the task groups; others only follow from it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
