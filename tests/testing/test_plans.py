"""``Plans`` as values: a tuple of plans that stay as they are, with their journal."""

import pickle

from fairq.testing import Commit, Plans, record


def test_plans_are_a_tuple_that_can_be_pickled() -> None:
    drawn = Plans(record("kernel\nsubmit count=2\nrun\n"))
    copy = pickle.loads(pickle.dumps(drawn))  # noqa: S301  # our own bytes
    assert isinstance(drawn, tuple)
    assert drawn == copy == drawn.journal.plans
    assert drawn.journal == copy.journal


def test_decodes_of_plans_do_not_change() -> None:
    drawn = Plans(record("kernel\nsubmit count=2\nsubmit max_tokens=9\nrun\n"))
    sizes = [len(plan.decodes) for plan in drawn]
    assert [0, 3, 3, 3, 1, 1, 1, 1, 1] == sizes


def test_a_step_that_failed_is_not_among_the_plans() -> None:
    drawn = Plans(record("kernel\nsubmit\nplan\nfail\nrun\n"))
    assert [1, 2, 3, 4] == [plan.step_id for plan in drawn]
    calls = [noted.call for noted in drawn.journal.calls]
    assert 4 == sum(isinstance(call, Commit) for call in calls)
