"""The same calls give the same plans, in any process, under any hash seed."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random  # noqa: TID251  # seeded: the history is part of the test

import pytest

from fairq import Admission, Discipline, Fcfs, Policy, RequestId, Vtc
from tests.kernel.driving import Loop, capacity

ROOT = Path(__file__).parents[1]
DISCIPLINES: dict[str, Discipline] = {"vtc": Vtc(), "open": Vtc(50), "fcfs": Fcfs()}


def history(discipline: str, admission: str) -> str:
    """Everything a kernel did in a busy life, as text."""
    random = Random(4)  # noqa: S311  # reproducible, and no secret
    policy = Policy(
        discipline=DISCIPLINES[discipline],
        admission=Admission(admission),
        weights={"tenant-1": 3.0},
    )
    loop = Loop(capacity(blocks=24, sequences=6, tokens=24), policy, check=False)
    for number in range(300):
        name = f"tenant-{random.randrange(9)}"
        loop.submit(name, random.randint(1, 40), random.randint(1, 20))
        if number % 7 == 0:
            loop.cancel(RequestId(random.randrange(number + 1)))
        if number % 5 == 0 and loop.live:
            loop.fail(loop.plan())
        if loop.live:
            loop.step()
    loop.run()
    return "\n".join([*map(repr, loop.plans), repr(loop.kernel.snapshot())])


def elsewhere(seed: str, discipline: str, admission: str) -> str:
    """The same history, told by a fresh interpreter with that hash seed."""
    code = (
        "import sys; from tests.test_determinism import history;"
        "sys.stdout.write(history(*sys.argv[1:]))"
    )
    told = subprocess.run(  # noqa: S603  # our own code, no shell
        [sys.executable, "-c", code, discipline, admission],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return told.stdout


@pytest.mark.parametrize("admission", [a.value for a in Admission])
@pytest.mark.parametrize("discipline", DISCIPLINES)
def test_the_same_calls_give_the_same_plans_under_any_hash_seed(
    discipline: str, admission: str
) -> None:
    here = history(discipline, admission)
    assert here.count("StepPlan(") > 100
    assert here == elsewhere("1", discipline, admission)
    assert here == elsewhere("2", discipline, admission)


def test_the_same_calls_give_the_same_plans_twice_in_one_process() -> None:
    assert history("vtc", "optimistic") == history("vtc", "optimistic")


def test_another_policy_gives_other_plans() -> None:
    assert history("vtc", "optimistic") != history("fcfs", "optimistic")


def test_time_has_no_influence_on_plans() -> None:
    loops = [Loop(capacity()), Loop(capacity())]
    for number, loop in enumerate(loops):
        for tenant in "abab":
            loop.submit(tenant, max_tokens=9)
        while loop.live:
            loop.kernel.plan(now_ns=number * 10**12)
            draft = loop.kernel._draft
            assert draft is not None
            loop.answer(draft.plan)
    assert loops[0].plans == loops[1].plans
