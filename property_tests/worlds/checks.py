"""What must hold in every state of a small world."""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TypeVar

from fairq import Admission, Idle, Kernel, RequestId, StepId, StepResult, UsageError
from fairq.cost import SCALE, price
from fairq.kernel._snapshot import Phase
from fairq.kernel._tenant import Tenant
from property_tests.models import BatchModel
from property_tests.worlds.state import State, tokens_of
from property_tests.worlds.world import PRICES, TENANTS, Asks, SmallWorld


def check_state(state: State, bounds: "Bounds") -> None:
    """Everything but what ``State.do`` has checked about the call itself."""
    state.kernel.check()
    check_mirror(state)
    check_ends(state)
    check_heaps(state.kernel)
    check_charges(state)
    check_backlog(state)
    bounds.check(state)


# --- the kernel and the batch of its backend ----------------------------------------


def check_mirror(state: State) -> None:
    """The batch that follows from the plans is the batch that the kernel has."""
    life = state.kernel._life
    members = state.model.members
    running = {
        id_: s for id_, s in life.sequences.items() if s.phase is not Phase.WAITING
    }
    assert sorted(members) == sorted([*running, *life.leaving])
    draft = state.kernel._draft
    thrown_out = [] if draft is None else [each.id for each in draft.preempted]
    for id_, sequence in running.items():
        member = members[id_]
        decoding = sequence.phase is Phase.DECODING
        behind = life.clock.tick - sequence.joined if decoding else 0
        computed = sequence.computed + behind
        # An outstanding plan has taken the blocks of those that it throws out.
        blocks = [] if id_ in thrown_out else member.blocks
        assert (member.slot, blocks) == (sequence.slot, sequence.blocks)
        assert (member.computed, member.decoding) == (computed, decoding)
    for id_, sequence in life.sequences.items():
        outputs = state.model.requests[id_].outputs
        assert len(outputs) == sequence.produced
        assert outputs[: len(sequence.outputs)] == list(sequence.outputs)


def check_ends(state: State) -> None:
    """Who is over is gone, at the latest with the answer; and idle means no work."""
    kernel = state.kernel
    live = [RequestId(id_) for id_ in state.model.live()]
    assert live == [
        id_ for id_ in kernel._life.sequences if id_ not in kernel._cancelled
    ]
    for id_ in live:
        assert state.failed.get(id_) == kernel._failures.get(id_)
    assert kernel._failures.keys() <= kernel._life.sequences.keys()
    if state.outstanding is not None:
        assert kernel.plan() is Idle.AWAITING_RESULT
        return
    assert not kernel._cancelled
    if not live:
        assert kernel.plan() is Idle.NO_WORK


def check_heaps(kernel: Kernel) -> None:
    """No bound is above its key, so that the tops of the heaps are exact."""
    for heap in (kernel._life.counters.backlogged, kernel._life.counters._idle):
        for bound, number, tenant in heap._entries:
            if heap._current.get(tenant) == number:
                assert bound <= heap._key(tenant)


# --- service ------------------------------------------------------------------------


def check_charges(state: State) -> None:
    """Each tenant is charged what the model executed, and what it has prepaid."""
    prompt, output = PRICES
    for name, tenant in state.kernel._life.counters.tenants.items():
        computed = tenant.prompt_tokens - tenant.prepaid
        service = prompt * computed + output * tenant.outputs
        assert state.executed[name] == service
        assert tenant.prepaid >= 0


def check_backlog(state: State) -> None:
    """Those take turns who wait; during a step, whoever has been admitted as well."""
    takes_turns = sorted(
        tenant.name for tenant in state.kernel._life.counters.backlogged
    )
    waits = state.model.backlogged()
    if state.outstanding is None:
        assert waits == takes_turns
    assert [name for name in waits if name in takes_turns] == waits


class Bounds:
    """The lemma of the gate, with what the world allows for O and P.

    c is a counter and p its part that is charged and not computed. For tenants i and j
    that both wait, (c_i - p_i) - (c_j - p_j) <= Q + O_i + P_j; and c_i - c_j <= Q + O_i
    where nothing is ever refunded, else P_j more.
    """

    def __init__(self, world: SmallWorld) -> None:
        self.gate = None if world.slack is None else round(SCALE * world.slack)
        self.commitment = dict.fromkeys(TENANTS, 0)
        self.prepaid = dict.fromkeys(TENANTS, 0)
        self.refunds = bool(world.cancels or world.failures)
        self.closest = 0.0
        """The largest part of the bound that was used."""
        for name, weight, asks in zip(TENANTS, world.weights, world.asks, strict=False):
            prompt, output = (price(each, weight) for each in PRICES)
            self.commitment[name] = max(
                sum(prompt * length + output * most for length, most in members)
                for members in together(world, asks)
            )
            # Who is admitted computes at least one position of its prompt at once.
            self.prepaid[name] = sum(prompt * (length - 1) for length, _ in asks)

    def check(self, state: State) -> None:
        """The lemma, for every pair that waits."""
        counters = state.kernel._life.counters
        assert counters.largest_commitment <= max(self.commitment.values())
        assert counters.largest_prepaid <= max(self.prepaid.values())
        if self.gate is None:
            return
        backlog = [counters.tenants[name] for name in state.model.backlogged()]
        for one in backlog:
            for other in backlog:
                self._check_pair(self.gate, one, other)

    def _check_pair(self, gate: int, one: Tenant, other: Tenant) -> None:
        charged = gate + self.commitment[one.name]
        executed = charged + self.prepaid[other.name]
        gap = _executed(one) - _executed(other)
        assert gap <= executed
        assert one.counter - other.counter <= (executed if self.refunds else charged)
        self.closest = max(self.closest, gap / executed)


def together(world: SmallWorld, asks: Asks) -> Iterator[Asks]:
    """Requests of one tenant that can be in the batch at once."""
    for count in range(1, world.slots + 1):
        for members in combinations(asks, count):
            needed = sum(-(-least(world, *ask) // world.block_size) for ask in members)
            if needed <= world.blocks:
                yield members


def least(world: SmallWorld, prompt: int, outputs: int) -> int:
    """Fewest positions for which a member has blocks."""
    worst = prompt + outputs - 1
    if world.admission is Admission.RESERVE:
        return worst
    return min(prompt + 1, worst)


def _executed(tenant: Tenant) -> int:
    return tenant.counter - tenant.prompt_price * tenant.prepaid


Wrong = TypeVar("Wrong")

# --- illegal calls ------------------------------------------------------------------


def check_refusals(state: State, before: object) -> None:
    """Illegal calls are refused and change nothing; ``before`` is the state in full."""
    kernel = state.kernel
    plan = state.outstanding
    strangers = (StepId(-1), StepId(kernel._next_step))
    for step in strangers:
        refused(kernel.commit, StepResult(step, {}))
        refused(kernel.fail, step)
    if plan is not None:
        for answer in wrong_answers(state.model, plan.step_id, state):
            refused(kernel.commit, answer)
    assert not kernel.cancel(RequestId(kernel._next_request))
    assert before == in_full(kernel)


def wrong_answers(model: BatchModel, step: StepId, state: State) -> list[StepResult]:
    """A token missing, too many, negative; and one stopped that has none."""
    plan = state.outstanding
    assert plan is not None
    right = tokens_of(model, plan)
    stranger = RequestId(state.kernel._next_request)
    answers = [
        StepResult(step, {**right, stranger: 1}),
        StepResult(step, right, (stranger,)),
    ]
    for id_ in right:
        rest = {other: token for other, token in right.items() if other != id_}
        answers += [
            StepResult(step, rest),
            StepResult(step, {**rest, stranger: 1}),
            StepResult(step, {**right, id_: -1}),
        ]
    return answers


def refused(call: Callable[[Wrong], object], wrong: Wrong) -> None:
    try:
        call(wrong)
    except UsageError:
        return
    # pytest.raises would stop the exploration, and not say by which path.
    raise AssertionError(repr(wrong))


def in_full(kernel: Kernel) -> object:
    """Everything one can see, and the pools."""
    return kernel.snapshot(), kernel._life.ledger.free_blocks(), dict(kernel._failures)
