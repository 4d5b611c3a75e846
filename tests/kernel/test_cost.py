"""What a step costs, counted in lines of Python: no clock, so no noise.

A visit is a line executed while ``plan`` or ``commit`` runs. What runs inside
C (comparing key views, packing tokens) is not counted: that it may touch every token
is the design.
"""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from fairq import Kernel, Policy, StepPlan, StepResult
from tests.kernel.driving import Loop, capacity, request

TraceFunction = Callable[[FrameType, str, Any], Any]


def visits(action: Callable[[], object]) -> int:
    """Lines of Python executed while the action runs, loops counted each time round."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> TraceFunction:
        nonlocal count
        del frame
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def result(plan: StepPlan) -> StepResult:
    tokens = dict.fromkeys(plan.decodes, 7)
    tokens |= {chunk.request_id: 7 for chunk in plan.chunks if chunk.samples}
    return StepResult(plan.step_id, tokens)


def plan_of(kernel: Kernel) -> StepPlan:
    plan = kernel.plan()
    assert isinstance(plan, StepPlan)
    return plan


def step_visits(kernel: Kernel) -> tuple[int, int]:
    """Visits of one step, and how many blocks were due in it."""
    gc.collect()  # else a finalizer of somebody else may run, and count
    cost = visits(kernel.plan)
    draft = kernel._draft
    assert draft is not None
    answer = result(draft.plan)
    grown = len(draft.plan.grow)
    return cost + visits(lambda: kernel.commit(answer)), grown


def standing(running: int, *, tenants: int = 8, due: int = 4) -> Kernel:
    """``running`` members that decode; ``due`` of them begin a block at each tick.

    With 16 ticks between two blocks of a member, only 16 * due of them can be due in
    turn; the others have the same residue and are due together in the last tick.
    """
    sizes = capacity(blocks=40 * running, block_size=16, sequences=running, tokens=8192)
    policy = Policy(max_waiting=None, max_waiting_per_tenant=None)
    kernel = Kernel(sizes, policy)
    for number in range(running):
        residue = min(number // due, 15)
        kernel.submit(request(f"t{number % tenants}", 1 + residue, 500))
    kernel.commit(result(plan_of(kernel)))
    for _ in range(32):
        kernel.commit(result(plan_of(kernel)))
    return kernel


def round_of(running: int) -> dict[int, list[int]]:
    """Visits per step, by blocks due, over two rounds of the calendar."""
    kernel = standing(running)
    costs: dict[int, list[int]] = {}
    for _ in range(32):
        cost, grown = step_visits(kernel)
        costs.setdefault(grown, []).append(cost)
    return costs


def test_doubling_the_batch_does_not_change_the_visits_of_a_step() -> None:
    small, large = round_of(256), round_of(512)
    assert len(small[4]) == len(large[4]) == 30
    assert set(small[4]) == set(large[4])
    assert len(set(small[4])) == 1


def test_a_step_costs_a_fixed_number_of_visits_for_each_block_due() -> None:
    costs = round_of(256) | {
        grown: cost for grown, cost in round_of(512).items() if grown != 4
    }
    (few, one), (some, two), (many, three) = (
        (grown, cost[0]) for grown, cost in sorted(costs.items())
    )
    per_block = (three - one) / (many - few)
    assert 0 < per_block <= 9
    assert two == one + per_block * (some - few)


def test_a_quiet_step_takes_few_visits() -> None:
    assert max(round_of(256)[4]) <= 250


@pytest.mark.parametrize("each", [1, 3])
def test_planning_costs_the_same_with_a_hundred_and_ten_thousand_tenants_waiting(
    each: int,
) -> None:
    few, many = (waiting(tenants, each) for tenants in (100, 10_000))
    for _ in range(5):
        assert abs(step_visits(few)[0] - step_visits(many)[0]) <= 128


def waiting(tenants: int, each: int) -> Kernel:
    """Four slots that are emptied and filled at every step, and a long queue."""
    sizes = capacity(blocks=64, block_size=16, sequences=4, tokens=64)
    kernel = Kernel(sizes, Policy(max_waiting=None))
    for number in range(tenants * each):
        kernel.submit(request(f"t{number % tenants}", 4, 1))
    for _ in range(3):
        kernel.commit(result(plan_of(kernel)))
    return kernel


def test_a_full_batch_costs_the_same_however_many_wait() -> None:
    costs = []
    for queue in (10, 10_000):
        kernel = standing(64)
        for number in range(queue):
            kernel.submit(request(f"w{number}", 4, 1))
        costs.append([step_visits(kernel) for _ in range(16)])
    assert costs[0] == costs[1]


@pytest.mark.parametrize("queue", [100, 10_000])
def test_submit_and_cancel_cost_the_same_however_many_wait(queue: int) -> None:
    loop = Loop(capacity(), Policy(max_waiting=None), check=False)
    for number in range(queue):
        loop.submit(f"t{number % 50}")
    new = request("t0")
    assert visits(lambda: loop.kernel.submit(new)) <= 85
    middle = loop.submit("t1")
    assert visits(lambda: loop.kernel.cancel(middle)) <= 45
