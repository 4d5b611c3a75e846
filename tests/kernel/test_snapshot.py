import attrs
import pytest

from fairq import Idle
from fairq.kernel import Phase
from tests.kernel.driving import Loop, capacity


def test_there_are_two_reasons_to_be_idle() -> None:
    assert {"no work", "awaiting a result"} == {idle.value for idle in Idle}


def test_snapshots_cannot_be_changed() -> None:
    loop = Loop(capacity())
    loop.submit()
    snapshot = loop.kernel.snapshot()
    for value in (snapshot, snapshot.tenants[0], snapshot.requests[0]):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            value.waiting = 9  # type: ignore[misc, union-attr]  # refusal is the test


def test_a_request_is_shown_in_the_phase_it_is_in() -> None:
    loop = Loop(capacity(sequences=2, tokens=8))
    loop.submit("a", length=2, max_tokens=9)
    loop.step()
    loop.submit("a", length=20)
    loop.submit("a")
    loop.step()
    phases = [request.phase for request in loop.kernel.snapshot().requests]
    assert [Phase.DECODING, Phase.PREFILLING, Phase.WAITING] == phases


def test_nobody_is_shown_once_it_is_over() -> None:
    loop = Loop(capacity())
    loop.submit(max_tokens=1)
    loop.run()
    assert loop.kernel.snapshot().requests == ()
