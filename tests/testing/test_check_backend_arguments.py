"""What ``check_backend`` takes, refuses, and cannot check."""

from collections.abc import Callable
from typing import Any, cast

import anyio
import attrs
import pytest
from hypothesis import strategies as st

from fairq import (
    Backend,
    Capacity,
    Enter,
    Request,
    UsageError,
)
from fairq.testing import check_backend
from fairq.testing._backend import _obligations as owed
from fairq.testing._obligations import Conformance, Obligation, ObligationBroken
from tests.testing.backends import SMALL, Good, provoke
from tests.testing.bad_answers import PopsSampling

# --- what is no backend, and what cannot be checked -----------------------------------


class NoStep:
    """Half a backend."""

    capacity = SMALL

    def close(self) -> None: ...


class NoCapacity(Good):
    """Says its capacity in blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.capacity = cast("Capacity", 64)


class NewCapacity(Good):
    """Counts its free blocks whenever it is asked."""

    asked = 0

    @property
    def capacity(self) -> Capacity:
        type(self).asked += 1
        return attrs.evolve(SMALL, blocks=20 + self.asked)

    @capacity.setter
    def capacity(self, capacity: Capacity) -> None: ...


FACTORIES: dict[str, tuple[Callable[[], object], Obligation]] = {
    "half a backend": (NoStep, owed.SHAPE),
    "a class": (lambda: Good, owed.SHAPE),
    "nothing": (lambda: None, owed.SHAPE),
    "a number for a capacity": (NoCapacity, owed.CAPACITY),
    "another capacity each time": (NewCapacity, owed.CAPACITY),
}


@pytest.mark.parametrize("what", FACTORIES)
def test_what_is_no_backend_is_refused(what: str) -> None:
    factory, obligation = FACTORIES[what]
    with pytest.raises(ObligationBroken) as caught:
        check_backend(cast("Callable[[], Backend]", factory))
    assert caught.value.obligation is obligation


def test_a_provocation_that_does_nothing_is_found() -> None:
    with pytest.raises(ObligationBroken) as caught:
        check_backend(Good, provoke=lambda _: None)
    assert caught.value.obligation is owed.PROVOKED


def test_when_a_provocation_raises_no_backend_is_left_open() -> None:
    made: list[Good] = []

    def make() -> Good:
        made.append(Good())
        return made[-1]

    def refuse(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_backend(make, provoke=refuse)
    assert [1] * len(made) == [backend.closed for backend in made]


def test_what_was_not_checked_is_returned_and_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anyio, "get_available_backends", lambda: ("asyncio",))

    report = check_backend(Good, examples=1)

    assert (
        "failed: no step was made to fail; pass provoke",
        "served: no engine was run on trio; it is not installed",
    ) == report.not_checked
    assert f"{report}\n" == capsys.readouterr().out
    assert "not checked: failed" in str(report)


def test_a_capacity_without_sharing_is_named_and_nothing_is_shared() -> None:
    capacity = attrs.evolve(SMALL, prefix_cache=False)

    report = check_backend(lambda: Good(capacity), provoke=provoke, examples=3)

    assert ("shared: the capacity is without prefix_cache",) == report.not_checked
    assert 0 == report.cached_tokens
    assert "cached" not in str(report).splitlines()[0]


def test_what_was_found_in_the_cache_is_counted() -> None:
    report = check_backend(Good, provoke=provoke, examples=1)

    assert report.cached_tokens > 100
    assert f"preemptions, {report.cached_tokens} cached tokens)." in str(report)


def test_nothing_is_printed_when_everything_was_checked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = check_backend(Good, provoke=provoke, examples=1)

    assert "" == capsys.readouterr().out
    assert str(report).startswith("Good keeps its obligations (")


LOOPS = "a sequence of names, each one of asyncio, trio"
ARGUMENTS: dict[str, Callable[[], Conformance]] = {
    "check_backend: factory must be something callable that makes a backend, such as "
    "its class; got 5.": lambda: check_backend(cast("Any", 5)),
    "check_backend: examples must be an integer >= 1; got 0.": (
        lambda: check_backend(Good, examples=0)
    ),
    "check_backend: deadline_s must be a finite number > 0 (seconds); got 0.": (
        lambda: check_backend(Good, deadline_s=0)
    ),
    f"check_backend: loops must be {LOOPS}; got 'asyncio'.": (
        lambda: check_backend(Good, loops="asyncio")
    ),
    f"check_backend: loops must be {LOOPS}; got 'trioo'. Did you mean 'trio'?": (
        lambda: check_backend(Good, loops=["asyncio", "trioo"])
    ),
    f"check_backend: loops must be {LOOPS}; got None.": (
        lambda: check_backend(Good, loops=cast("Any", None))
    ),
    "check_backend: deterministic must be True or False; got 1.": (
        lambda: check_backend(Good, deterministic=cast("Any", 1))
    ),
    "check_backend: requests must be a Hypothesis strategy of Request, or None; got []."
    "": lambda: check_backend(Good, requests=cast("Any", [])),
    "check_backend: requests must be a strategy that draws a Request; got 0.": (
        lambda: check_backend(Good, requests=cast("Any", st.integers(0, 3)))
    ),
    "check_backend: provoke must be something callable that takes a backend, or None; "
    "got 'fail_next'.": lambda: check_backend(Good, provoke=cast("Any", "fail_next")),
    "check_backend: requests must fit into the 20 blocks of Good; none does. Give it "
    "more, or draw shorter requests.": lambda: check_backend(Good, requests=asking(99)),
}


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_requests_that_end_with_their_first_token_are_enough(loop: str) -> None:
    asked = st.builds(
        Request, tenant=st.just("a"), prompt=st.just([1, 2]), max_tokens=st.just(1)
    )

    report = check_backend(
        Good, requests=asked, provoke=provoke, loops=[loop], examples=3
    )

    assert ["preempted", "shared"] == [
        each.partition(":")[0] for each in report.not_checked
    ]


def asking(length: int, sampling: object = None) -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        tenant=st.just("a"),
        prompt=st.lists(st.integers(0, 9), min_size=length, max_size=length + 3),
        max_tokens=st.integers(1, 9),
        sampling=st.builds(lambda: sampling),
    )


@pytest.mark.parametrize("message", ARGUMENTS)
def test_a_wrong_argument_says_what_a_right_one_is(message: str) -> None:
    with pytest.raises(UsageError) as caught:
        ARGUMENTS[message]()
    assert message == str(caught.value)


def test_requests_of_ones_own_are_what_the_backend_gets() -> None:
    class Picky(Good):
        """Understands only some prompts."""

        def enter(self, enter: Enter) -> None:
            assert 2 <= enter.prompt_length <= 5
            assert enter.sampling == "greedy"
            super().enter(enter)

    check_backend(Picky, requests=asking(2, "greedy"), provoke=provoke, examples=5)


def test_taking_options_out_of_a_request_is_found() -> None:
    asked = asking(2).map(lambda each: attrs.evolve(each, sampling={"seed": 1}))

    with pytest.raises(ObligationBroken, match="enter stays") as caught:
        check_backend(PopsSampling, requests=asked)
    assert caught.value.obligation is owed.PLAN
