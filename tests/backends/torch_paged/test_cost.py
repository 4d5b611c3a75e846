"""A step in which everybody decodes touches no request in Python."""

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from fairq import StepPlan
from fairq_backends.torch_paged import TorchPagedBackend, _torch_ops
from tests.backends._plans import chunk, plan
from tests.backends.torch_paged._stage import PROMPT, entry, small

TraceFunction = Callable[[FrameType, str, Any], Any]
MOST = 32


def lines(action: Callable[[], object]) -> int:
    """Lines of the backends' Python executed, loops counted each time round."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> TraceFunction | None:
        nonlocal count
        if "fairq_backends" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return note

    gc.collect()
    before = sys.gettrace()
    sys.settrace(note)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def standing(
    count: int,
    **options: Any,  # noqa: ANN401  # options of all types
) -> TorchPagedBackend:
    """So many sequences that decode."""
    backend = small(
        blocks=4 * MOST, max_sequences=MOST, tokens_per_step=16 * MOST, **options
    )
    enters = [entry(n, PROMPT, tuple(range(4 * n, 4 * n + 4))) for n in range(count)]
    chunks = [chunk(n, 0, len(PROMPT)) for n in range(count)]
    backend.step(plan(0, enter=enters, chunks=chunks))
    return backend


def step_lines(
    count: int,
    **options: Any,  # noqa: ANN401  # options of all types
) -> int:
    backend = standing(count, **options)
    due: list[StepPlan] = [plan(n, decodes=range(count)) for n in (1, 2)]
    backend.step(due[0])
    return lines(lambda: backend.step(due[1]))


@pytest.fixture(autouse=True)
def all_sizes_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine where they do not, a batch is cut into several products."""

    def sizes(*_: object) -> tuple[int, ...]:
        return (256, 128, 64, 32, 16, 8)

    monkeypatch.setattr(_torch_ops, "agreeing_sizes", sizes)


@pytest.mark.parametrize("keep_logits", [False, True])
@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_thirty_two_decodes_take_as_many_lines_as_two(
    mode: str, *, keep_logits: bool
) -> None:
    two = step_lines(2, mode=mode, keep_logits=keep_logits)

    assert two == step_lines(MOST, mode=mode, keep_logits=keep_logits)
    assert 100 < two


def test_what_is_counted_are_lines_of_the_backend() -> None:
    assert 0 == lines(lambda: sum(n for n in range(100)))
