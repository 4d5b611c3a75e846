"""The calls of a journal as commands of a scenario."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from fairq.events import Events
from fairq.plan import StepPlan
from fairq.request import RequestId
from fairq.testing._transcript._calls import Commit, Fail, Noted, Submit
from fairq.testing._witness import made_up, sampled


def answers(noted: Noted) -> bool:
    """Whether a call has answered the outstanding plan."""
    answering = isinstance(noted.call, Commit | Fail)
    return answering and isinstance(noted.outcome, Events)


def answering(calls: Iterable[Noted]) -> Iterator[tuple[StepPlan | None, Noted]]:
    """Each call with the plan that is outstanding when it is made."""
    plan: StepPlan | None = None
    for noted in calls:
        yield plan, noted
        if isinstance(noted.outcome, StepPlan):
            plan = noted.outcome
        elif answers(noted):
            plan = None


def commands(calls: Iterable[Noted]) -> Iterator[str]:
    """The command of each call; an answer says only what is out of the ordinary."""
    produced: Counter[RequestId] = Counter()
    for plan, noted in answering(calls):
        call = noted.call
        if plan is None or not isinstance(call, Commit | Fail):
            yield str(call)
            continue
        yield _answer(call, plan, produced)
        if isinstance(call, Commit) and answers(noted):
            produced.update(id_ for id_, _ in call.tokens)


def _answer(call: Commit | Fail, plan: StepPlan, produced: Counter[RequestId]) -> str:
    if call.step_id != plan.step_id:
        return str(call)
    if isinstance(call, Fail):
        return "fail"
    usual = tuple((id_, made_up(id_, produced[id_])) for id_ in sampled(plan))
    if usual == call.tokens:
        return f"commit{call.stops()}"
    return str(call).replace(f" step={call.step_id}", "", 1)


def shortened(calls: Sequence[Noted]) -> Iterator[str]:
    """The commands without what can be said once for many: ``count=``."""
    for line, count in _counted(_units(calls)):
        yield line if count == 1 else f"{line} count={count}"


def _units(calls: Sequence[Noted]) -> Iterator[tuple[str, bool]]:
    """Commands, a plan that is committed at once as a step; and whether they count."""
    rest = iter(zip(commands(calls), calls, strict=True))
    for line, noted in rest:
        if line != "plan":
            # One that is refused would end the count.
            accepted = isinstance(noted.call, Submit) and isinstance(noted.outcome, int)
            yield line, accepted
            continue
        following, _ = next(rest, ("", None))
        if following == "commit":
            yield "step", True
            continue
        yield line, False
        if following:
            yield following, False


def _counted(units: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, int]]:
    """Equal ones in a row, with how many there are."""
    last, times, counts = "", 0, False
    for line, may in units:
        if may and counts and line == last:
            times += 1
            continue
        if times:
            yield last, times
        last, times, counts = line, 1, may
    if times:
        yield last, times
