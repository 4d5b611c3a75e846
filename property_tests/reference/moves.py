"""What becomes true with a call: arrivals, executed steps, ends."""

from property_tests.reference.request import RequestModel
from property_tests.reference.state import State
from property_tests.reference.step import ChunkModel, StepModel
from property_tests.reference.tenant import TenantModel


class Moves:
    """Changes a state; decides nothing."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._counters = state.counters

    def _tenant(self, request: RequestModel) -> TenantModel:
        return self._counters.tenants[request.tenant]

    # --- arrivals -------------------------------------------------------------------

    def arrive(self, request: RequestModel, *, meanwhile: bool) -> None:
        """To the end of its queue; during a step its tenant begins to wait later."""
        tenant = self._counters.tenant(request.tenant)
        request.arriving = meanwhile
        self._state.requests[request.id] = request
        tenant.queue.append(request)
        if meanwhile:
            if tenant not in self._counters.arriving:
                self._counters.arriving.append(tenant)
        elif tenant not in self._counters.backlog:
            self._counters.begins(tenant)

    def join(self) -> None:
        """The step was answered: who came meanwhile begins to wait, in order.

        A tenant with an older request has waited all the time.
        """
        arriving, self._counters.arriving = self._counters.arriving, []
        for request in self._state.requests.values():
            request.arriving = False
        for tenant in arriving:
            if tenant.queue and tenant not in self._counters.backlog:
                self._counters.begins(tenant)

    # --- a step ---------------------------------------------------------------------

    def execute(self, step: StepModel, tokens: dict[int, int]) -> None:
        """All of it, in the order in which a backend does it."""
        state = self._state
        state.steps += 1
        state.leaving = []
        state.free = [block for block in state.free if block not in step.taken]
        self.preempt(step)
        self._enter(step)
        for request, block in step.grow:
            request.blocks.append(block)
        for request in step.decodes:
            request.compute(request.computed + 1)
            self._deliver(request, tokens[request.id])
        for chunk in step.chunks:
            self._compute(chunk)
            if chunk.samples:
                self._deliver(chunk.request, tokens[chunk.request.id])
        self._counters.look()
        prepaid = [each.prepaid for each in self._counters.tenants.values()]
        state.prepaid = max([state.prepaid, *prepaid])

    def take_blocks_of_victims(self, step: StepModel) -> None:
        """On top of the pool: the step itself gives some of them to others."""
        for request in step.preempted:
            self._state.free = request.blocks + self._state.free
            request.blocks = []

    def preempt(self, step: StepModel) -> None:
        """Each to the head of its queue, whatever became of the step."""
        for request in step.preempted:
            self._leave_batch(request)
            tenant = self._tenant(request)
            tenant.queue.insert(0, request)
            self._state.preemptions += 1
            if tenant not in self._counters.backlog:
                self._counters.begins(tenant)
        if step.preempted:
            self._state.admission.preempted()

    def _enter(self, step: StepModel) -> None:
        """Charge each prompt whole, once in the life of its request."""
        last: dict[str, int] = {}
        for entry in step.enter:
            request, tenant = entry.request, self._tenant(entry.request)
            tenant.counter += tenant.prompt_price * request.unpaid
            last[tenant.name] = request.unpaid
            request.charged = True
            request.slot, request.blocks = entry.slot, list(entry.blocks)
            self._unqueue(request)
            tenant.running.append(request)
            self._state.prefilling.append(request)
        for name, prompt in last.items():
            self._commit_to(self._counters.tenants[name], prompt)

    def _commit_to(self, tenant: TenantModel, prompt: int) -> None:
        """What it could be charged from its last admission in a step on."""
        outputs = sum(each.owed for each in tenant.running)
        charge = tenant.prompt_price * prompt + tenant.output_price * outputs
        self._state.commitment = max(self._state.commitment, charge)

    def _compute(self, chunk: ChunkModel) -> None:
        request = chunk.request
        before = request.settled
        again = request.reached - chunk.start
        self._state.recomputed += max(0, min(again, chunk.length))
        request.compute(chunk.start + chunk.length)
        self._tenant(request).prompt_tokens += request.settled - before
        if chunk.samples:
            request.decodes = True
            self._state.prefilling.remove(request)
            self._state.decoding.append(request)

    def _deliver(self, request: RequestModel, token: int) -> None:
        tenant = self._tenant(request)
        request.outputs.append(token)
        tenant.output_tokens += 1
        tenant.counter += tenant.output_price

    # --- ends -----------------------------------------------------------------------

    def end(self, request: RequestModel, *, by_itself: bool = False) -> None:
        """It is over; prompt positions charged for nothing are refunded."""
        if request.slot is None:
            self._unqueue(request)
        else:
            self._leave_batch(request)
            self._state.leaving.append(request.id)
            if by_itself:
                self._state.admission.ended(len(request.outputs))
        del self._state.requests[request.id]
        tenant = self._tenant(request)
        self._counters.refund(tenant, request.prepaid)
        if tenant.rests:
            self._counters.rest(tenant)

    def _unqueue(self, request: RequestModel) -> None:
        tenant = self._tenant(request)
        tenant.queue.remove(request)
        # Requests that arrived during the step do not wait yet.
        if all(each.arriving for each in tenant.queue):
            self._counters.stops(tenant)

    def _leave_batch(self, request: RequestModel) -> None:
        """Its blocks go on top of the pool, if it still has them."""
        members = self._state.decoding if request.decodes else self._state.prefilling
        members.remove(request)
        self._tenant(request).running.remove(request)
        self._state.free = request.blocks + self._state.free
        request.leave()
