from fairq import Admission, Fcfs, Policy, RequestId, StepPlan, Vtc
from fairq.kernel._newcomers import LOOKAHEAD
from tests.kernel.driving import Loop, capacity


def chunks(plan: StepPlan) -> list[tuple[int, int]]:
    return [(chunk.request_id, chunk.length) for chunk in plan.chunks]


# --- order --------------------------------------------------------------------------


def test_decodes_come_first_then_begun_prompts_then_newcomers() -> None:
    loop = Loop(capacity(tokens=10))
    loop.submit("a", length=2, max_tokens=9)
    loop.step()
    loop.submit("a", length=12)
    loop.submit("a", length=12)
    assert [(1, 9)] == chunks(loop.step())
    plan = loop.step()
    assert list(plan.decodes) == [0]
    assert [(1, 3), (2, 6)] == chunks(plan)


def test_begun_prompts_continue_in_the_order_of_admission() -> None:
    loop = Loop(capacity(tokens=8))
    loop.submit_many(2, "a", length=12)
    assert [(0, 8)] == chunks(loop.step())
    assert [(0, 4), (1, 4)] == chunks(loop.step())
    assert [(1, 7)] == chunks(loop.step())  # one decodes by now


def test_newcomers_that_find_no_budget_wait() -> None:
    loop = Loop(capacity(tokens=8))
    loop.submit_many(2, "a", length=8)
    assert [(0, 8)] == chunks(loop.step())


def test_a_step_holds_as_many_decodes_as_the_budget_and_no_more_members() -> None:
    loop = Loop(capacity(sequences=8, tokens=3))
    loop.submit_many(8, "a", length=1, max_tokens=50)
    for _ in range(20):
        assert loop.step().tokens <= 3
    assert loop.kernel.snapshot().running == 3


def test_tenants_take_turns_within_one_plan() -> None:
    loop = Loop(capacity())
    loop.submit_many(3, "a", length=8)
    loop.submit_many(3, "b", length=8)
    assert [0, 3, 1, 4, 2, 5] == [chunk.request_id for chunk in loop.step().chunks]


def test_requests_of_one_tenant_keep_their_order() -> None:
    loop = Loop(capacity(sequences=2))
    ids = loop.submit_many(6, "a")
    loop.run()
    assert ids == sorted(loop.first_step, key=lambda id_: (loop.first_step[id_], id_))


def test_fcfs_serves_by_arrival_across_tenants() -> None:
    loop = Loop(capacity(sequences=1), Policy(discipline=Fcfs()))
    order = [loop.submit(name) for name in "aababb"]
    loop.run()
    assert order == list(loop.first_step)


def test_equal_counters_go_by_arrival() -> None:
    loop = Loop(capacity(sequences=1))
    loop.submit("z")
    loop.submit("a")
    loop.run()
    assert list(loop.first_step) == [0, 1]


# --- the gate -----------------------------------------------------------------------


def full_house(policy: Policy) -> Loop:
    """One member for a long time; six blocks left; then a prompt that needs seven."""
    loop = Loop(capacity(blocks=16, tokens=128), policy)
    loop.submit("resident", length=30, max_tokens=10)
    loop.step()
    loop.submit("large", length=26, max_tokens=3)
    loop.submit("small", length=4, max_tokens=4)
    return loop


def reserve(slack: float) -> Policy:
    return Policy(discipline=Vtc(slack), admission=Admission.RESERVE)


def test_equal_counters_are_within_a_closed_gate() -> None:
    loop = full_house(reserve(0))
    assert [(2, 4)] == chunks(loop.step())


def test_a_tenant_outside_the_gate_waits_behind_a_request_that_does_not_fit() -> None:
    loop = full_house(reserve(0))
    loop.submit("small", length=4, max_tokens=4)
    loop.step()
    assert chunks(loop.step()) == []


def test_slack_lets_a_tenant_pass_until_it_is_used_up() -> None:
    loop = full_house(reserve(4))
    for _ in range(2):
        loop.submit("small", length=4, max_tokens=1)
    assert [(2, 4), (3, 4)] == chunks(loop.step())


def test_without_a_gate_the_head_of_the_line_holds_back_everybody() -> None:
    loop = full_house(Policy(discipline=Fcfs(), admission=Admission.RESERVE))
    loop.steps(5)
    assert list(loop.first_step) == [0]


def test_only_so_many_tenants_are_asked_after_the_first_that_does_not_fit() -> None:
    loop = Loop(capacity(sequences=64, blocks=64, tokens=256), reserve(1e6))
    loop.submit("resident", length=200, max_tokens=40)  # four blocks are left
    loop.step()
    for number in range(LOOKAHEAD + 1):
        loop.submit(f"large-{number}", length=26)
    small = loop.submit("small", length=4, max_tokens=1)
    loop.step()
    assert small not in loop.first_step
    loop.cancel(RequestId(1))
    loop.cancel(RequestId(2))
    loop.step()
    assert small in loop.first_step


# --- victims ------------------------------------------------------------------------


def test_the_victim_is_the_newest_of_the_largest_counter() -> None:
    loop = Loop(capacity(blocks=9, tokens=64), Policy())
    loop.kernel._life.counters.tenant("rich").lifted = 10**15
    loop.submit("poor", length=4, max_tokens=12)
    loop.submit("rich", length=4, max_tokens=12)
    loop.submit("rich", length=4, max_tokens=12)
    loop.submit("poor", length=4, max_tokens=12)
    loop.kernel._life.rule._margin = 0  # type: ignore[attr-defined]  # expect no growth
    while not loop.preempted:
        loop.step()
    assert loop.preempted[0] == 2


def test_nobody_is_admitted_in_a_step_that_preempts() -> None:
    loop = Loop(capacity(blocks=9), Policy())
    loop.kernel._life.rule._margin = 0  # type: ignore[attr-defined]  # expect no growth
    loop.submit_many(8, "a", length=4, max_tokens=12)
    preemptions = 0
    while loop.live:
        before = len(loop.preempted)
        plan = loop.step()
        if len(loop.preempted) > before:
            preemptions += 1
            assert not plan.enter
    assert preemptions
