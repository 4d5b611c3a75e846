import inspect

import attrs
import pytest

from fairq import (
    AsyncBackend,
    Capacity,
    StepPlan,
    StepResult,
    SyncBackend,
    UsageError,
)


class Plain:
    """A backend with a plain step."""

    capacity = Capacity(blocks=1)

    def step(self, plan: StepPlan) -> StepResult:
        return StepResult(plan.step_id, {})

    def close(self) -> None:
        """Nothing to release."""


class Suspending(Plain):
    """A backend whose step is a coroutine function."""

    async def step(self, plan: StepPlan) -> StepResult:  # type: ignore[override]  # the other kind
        return StepResult(plan.step_id, {})


class Lacking:
    """No close, no capacity."""

    def step(self, plan: StepPlan) -> StepResult:
        return StepResult(plan.step_id, {})


def test_three_members_make_a_backend_without_a_base_class() -> None:
    assert isinstance(Plain(), SyncBackend)
    assert isinstance(Suspending(), AsyncBackend)
    assert not isinstance(Lacking(), SyncBackend)


def test_the_two_kinds_differ_only_in_step() -> None:
    def members(protocol: type) -> set[str]:
        return {name for name in vars(protocol) if not name.startswith("_")}

    assert {"capacity", "step", "close"} == members(SyncBackend)
    assert members(SyncBackend) == members(AsyncBackend)
    assert inspect.iscoroutinefunction(Suspending().step)


def test_only_the_number_of_blocks_has_no_default() -> None:
    capacity = Capacity(blocks=10)
    assert (10, 16, 256, 2048, False) == attrs.astuple(capacity)


@pytest.mark.parametrize(
    "field", ["blocks", "block_size", "max_sequences", "tokens_per_step"]
)
@pytest.mark.parametrize("bad", [0, -1, 1.0, True, None, "16"])
def test_a_capacity_of_nothing_is_refused(field: str, bad: object) -> None:
    with pytest.raises(UsageError, match=rf"Capacity\.{field} must be an integer >= 1"):
        Capacity(**{"blocks": 1, field: bad})  # type: ignore[arg-type]  # wrong types are the test


@pytest.mark.parametrize("bad", [1, 0, None, "yes"])
def test_tables_may_share_blocks_or_may_not(bad: object) -> None:
    assert Capacity(blocks=1, prefix_cache=True).prefix_cache
    with pytest.raises(UsageError, match=r"Capacity\.prefix_cache must be True or"):
        Capacity(blocks=1, prefix_cache=bad)  # type: ignore[arg-type]  # wrong types are the test
